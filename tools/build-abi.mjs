#!/usr/bin/env node
// Writes abi/: one JSON per contract the Python side deploys or calls, from what forge compiled.
//   node tools/build-abi.mjs            writes
//   node tools/build-abi.mjs --check    writes nothing; fails unless abi/ is what would be written
// The same sources and the same lock give the same bytes on every machine. forge compiles nothing that
// it has in out/ already, so that the check behind `forge test` costs no second compilation.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const ownForge = join(root, 'node_modules', '.bin', 'forge');
const forge = existsSync(ownForge) ? ownForge : 'forge';
const folder = join(root, 'abi');

// source file, below contracts/ → the contracts taken from it
const WANTED = {
  'RedemptionSettler.sol': ['RedemptionSettler'],
  'FundToken.sol': ['FundToken'],
  'test/TestStablecoin.sol': ['TestStablecoin'],
  'test/tokens/AskedTokens.sol': ['CmtatLikeShare', 'UsdtLikeToken'],
  'test/tokens/BurnStyleShares.sol': [
    'BurnShare',
    'BurnWithReasonShare',
    'BurnWithDataShare',
    'BurnFromShare',
    'AdminBurnShare',
    'EscrowShare',
    'LockableShare',
  ],
  'test/tokens/OddTokens.sol': ['ReturnsFalseToken', 'FeeTakingToken', 'GasBurningToken', 'ReentrantToken'],
  'test/tokens/ReturnsNothingToken.sol': ['ReturnsNothingToken'],
};

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

function asCompiled(source, contractName) {
  const compiled = join(root, 'out', source.split('/').pop(), `${contractName}.json`);
  const { abi, bytecode, deployedBytecode } = JSON.parse(readFileSync(compiled, 'utf8'));
  const content = { abi, bytecode: bytecode.object, contractName, deployedBytecode: deployedBytecode.object };
  return `${JSON.stringify(sorted(content), null, 2)}\n`;
}

const build = spawnSync(forge, ['build'], { cwd: root, encoding: 'utf8' });
if (build.error?.code === 'ENOENT') fail('forge is not installed: run `make setup` (npm ci), or install Foundry');
if (build.status !== 0) fail(`forge build failed\n${build.stdout ?? ''}${build.stderr ?? build.error ?? ''}`);

mkdirSync(folder, { recursive: true });
const committed = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
);
const made = new Map(
  Object.entries(WANTED).flatMap(([source, names]) =>
    names.map((name) => [`${name}.json`, asCompiled(source, name)]),
  ),
);

if (process.argv.includes('--check')) {
  const names = [...new Set([...made.keys(), ...committed.keys()])].sort();
  const stale = names.filter((name) => made.get(name) !== committed.get(name));
  if (stale.length > 0) fail(`not what the sources compile to: abi/${stale.join(', abi/')}; run \`make abi\` and commit`);
  process.stdout.write(`abi/ is what the sources compile to: ${names.length} contracts\n`);
} else {
  for (const [name, text] of made) writeFileSync(join(folder, name), text);
}
