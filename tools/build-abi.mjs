#!/usr/bin/env node
// Compiles the contracts and writes one JSON per contract the Python side deploys or calls.
//   node tools/build-abi.mjs [--out <folder>]      the folder is abi/ unless told
// The same sources and the same lock give the same bytes on every machine.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const ownForge = join(root, 'node_modules', '.bin', 'forge');
const forge = existsSync(ownForge) ? ownForge : 'forge';
// Apart from forge's own out/ and cache/, so that it can run beside `forge test`.
const buildFolder = 'out/abi';

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

const outArgument = process.argv.indexOf('--out');
const outFolder = outArgument < 0 ? join(root, 'abi') : resolve(process.argv[outArgument + 1]);

const build = spawnSync(
  forge,
  ['build', '--skip', '*.t.sol', '--out', buildFolder, '--cache-path', 'cache/abi'],
  { cwd: root, encoding: 'utf8' },
);
if (build.error?.code === 'ENOENT') fail('forge is not installed: run `make setup` (npm ci), or install Foundry');
if (build.status !== 0) fail(`forge build failed\n${build.stdout ?? ''}${build.stderr ?? build.error ?? ''}`);

mkdirSync(outFolder, { recursive: true });
for (const [source, contractNames] of Object.entries(WANTED)) {
  for (const contractName of contractNames) {
    const artifact = JSON.parse(
      readFileSync(join(root, buildFolder, source.split('/').pop(), `${contractName}.json`), 'utf8'),
    );
    const content = {
      abi: artifact.abi,
      bytecode: artifact.bytecode.object,
      contractName,
      deployedBytecode: artifact.deployedBytecode.object,
    };
    writeFileSync(join(outFolder, `${contractName}.json`), `${JSON.stringify(sorted(content), null, 2)}\n`);
  }
}
