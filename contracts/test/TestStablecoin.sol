// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITestStablecoin} from "./ITestStablecoin.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Stablecoin for tests and demonstrations
/// @notice Never to be given value: its owner mints at will. See the interface.
contract TestStablecoin is ITestStablecoin, ERC20, Ownable, Pausable, EIP712 {
    /// @inheritdoc ITestStablecoin
    bytes32 public constant TRANSFER_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    /// @inheritdoc ITestStablecoin
    bytes32 public constant CANCEL_AUTHORIZATION_TYPEHASH =
        keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    uint256 private constant BLOCKED = 1 << 255;

    /// @inheritdoc ITestStablecoin
    mapping(address authorizer => mapping(bytes32 nonce => bool used)) public authorizationState;

    /// @dev A struct, so that a place in a mapping once found can be read and then written.
    struct Amount {
        uint256 word;
    }

    /// @dev The highest bit is the block, the rest the balance, as in the present contract of the largest issuer.
    mapping(address account => Amount) private _holdings;
    mapping(address holder => mapping(address spender => Amount)) private _allowed;
    uint256 private _supply;

    constructor(string memory name_, string memory symbol_, address owner_)
        ERC20(name_, symbol_)
        Ownable(owner_)
        EIP712(name_, "1")
    {}

    /// @inheritdoc ITestStablecoin
    function mint(address account, uint256 value) external onlyOwner {
        _mint(account, value);
    }

    /// @inheritdoc ITestStablecoin
    function setBlocked(address account, bool blocked) external onlyOwner {
        uint256 held = balanceOf(account);
        _holdings[account].word = blocked ? held | BLOCKED : held;
        emit BlockChanged(account, blocked);
    }

    /// @inheritdoc ITestStablecoin
    function pause() external onlyOwner {
        _pause();
    }

    /// @inheritdoc ITestStablecoin
    function unpause() external onlyOwner {
        _unpause();
    }

    /// @inheritdoc IERC20
    /// @dev In one piece and not by way of `_update`, which does the same to the balances: it is called for every payout.
    function transferFrom(address from, address to, uint256 value) public override(ERC20, IERC20) returns (bool) {
        if (paused()) revert EnforcedPause();
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        Amount storage allowed = _allowed[from][msg.sender];
        uint256 left = allowed.word;
        if (left < value) revert ERC20InsufficientAllowance(msg.sender, left, value);
        Amount storage giving = _holdings[from];
        uint256 held = giving.word;
        if (held >= BLOCKED) revert AccountBlocked(from);
        if (held < value) revert ERC20InsufficientBalance(from, held, value);
        unchecked {
            if (left != type(uint256).max) allowed.word = left - value;
            giving.word = held - value;
        }
        Amount storage receiving = _holdings[to];
        uint256 had = receiving.word;
        if (had >= BLOCKED) revert AccountBlocked(to);
        unchecked {
            receiving.word = had + value;
        }
        emit Transfer(from, to, value);
        return true;
    }

    /// @inheritdoc ITestStablecoin
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        if (block.timestamp <= validAfter) {
            revert AuthorizationNotYetValid(validAfter, block.timestamp);
        }
        if (block.timestamp >= validBefore) revert AuthorizationExpired(validBefore, block.timestamp);
        bytes32 structHash = keccak256(
            abi.encode(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce)
        );
        _useAuthorization(from, nonce, structHash, v, r, s);
        emit AuthorizationUsed(from, nonce);
        _transfer(from, to, value);
    }

    /// @inheritdoc ITestStablecoin
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        bytes32 structHash = keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce));
        _useAuthorization(authorizer, nonce, structHash, v, r, s);
        emit AuthorizationCanceled(authorizer, nonce);
    }

    /// @inheritdoc ITestStablecoin
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc ITestStablecoin
    function isBlocked(address account) external view returns (bool) {
        return _holdings[account].word >= BLOCKED;
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) public view override(ERC20, IERC20) returns (uint256) {
        return _holdings[account].word & ~BLOCKED;
    }

    /// @inheritdoc IERC20
    function totalSupply() public view override(ERC20, IERC20) returns (uint256) {
        return _supply;
    }

    /// @inheritdoc IERC20
    function allowance(address holder, address spender) public view override(ERC20, IERC20) returns (uint256) {
        return _allowed[holder][spender].word;
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public pure override(ERC20, IERC20Metadata) returns (uint8) {
        return 6;
    }

    /// @dev In place of OpenZeppelin's bookkeeping, with the same errors and event. The holder is the caller, never zero.
    function _approve(address holder, address spender, uint256 value, bool emitEvent) internal override {
        if (spender == address(0)) revert ERC20InvalidSpender(spender);
        _allowed[holder][spender].word = value;
        if (emitEvent) emit Approval(holder, spender, value);
    }

    /// @dev The same, for mints and the transfers without an allowance.
    function _update(address from, address to, uint256 value) internal override whenNotPaused {
        if (from == address(0)) {
            if (value >= BLOCKED - _supply) revert SupplyTooLarge(value);
            _supply += value;
        } else {
            Amount storage giving = _holdings[from];
            uint256 held = giving.word;
            if (held >= BLOCKED) revert AccountBlocked(from);
            if (held < value) revert ERC20InsufficientBalance(from, held, value);
            unchecked {
                giving.word = held - value;
            }
        }
        Amount storage receiving = _holdings[to];
        uint256 had = receiving.word;
        if (had >= BLOCKED) revert AccountBlocked(to);
        unchecked {
            // No balance can pass the supply, and the supply never reaches the highest bit.
            receiving.word = had + value;
        }
        emit Transfer(from, to, value);
    }

    function _useAuthorization(address authorizer, bytes32 nonce, bytes32 structHash, uint8 v, bytes32 r, bytes32 s)
        private
    {
        if (authorizationState[authorizer][nonce]) revert AuthorizationAlreadyUsed(authorizer, nonce);
        address signer = ECDSA.recover(_hashTypedDataV4(structHash), v, r, s);
        if (signer != authorizer) revert AuthorizationSignerMismatch(signer, authorizer);
        authorizationState[authorizer][nonce] = true;
    }
}
