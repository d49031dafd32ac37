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

    /// @dev The highest bit is the block, the rest the balance, as in the present contract of the largest issuer.
    mapping(address account => uint256) private _holdings;
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
        _holdings[account] = blocked ? held | BLOCKED : held;
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
        return _holdings[account] >= BLOCKED;
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) public view override(ERC20, IERC20) returns (uint256) {
        return _holdings[account] & ~BLOCKED;
    }

    /// @inheritdoc IERC20
    function totalSupply() public view override(ERC20, IERC20) returns (uint256) {
        return _supply;
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public pure override(ERC20, IERC20Metadata) returns (uint8) {
        return 6;
    }

    /// @dev In place of OpenZeppelin's bookkeeping, with the same errors and event.
    function _update(address from, address to, uint256 value) internal override whenNotPaused {
        if (from == address(0)) {
            if (value >= BLOCKED - _supply) revert SupplyTooLarge(value);
            _supply += value;
        } else {
            uint256 held = _holdings[from];
            if (held >= BLOCKED) revert AccountBlocked(from);
            if (held < value) revert ERC20InsufficientBalance(from, held, value);
            unchecked {
                _holdings[from] = held - value;
            }
        }
        uint256 receiving = _holdings[to];
        if (receiving >= BLOCKED) revert AccountBlocked(to);
        unchecked {
            // No balance can pass the supply, and the supply never reaches the highest bit.
            _holdings[to] = receiving + value;
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
