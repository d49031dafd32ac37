// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title Stablecoin for tests and demonstrations
/// @notice What issuers' stablecoins have and a settlement can trip over: 6 decimals, a blocklist, a pause, and
/// EIP-3009 transfers by signature.
interface ITestStablecoin is IERC20Metadata {
    event BlockChanged(address indexed account, bool blocked);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    error AccountBlocked(address account);
    error SupplyTooLarge(uint256 value);
    error AuthorizationNotYetValid(uint256 validAfter, uint256 timestamp);
    error AuthorizationExpired(uint256 validBefore, uint256 timestamp);
    error AuthorizationAlreadyUsed(address authorizer, bytes32 nonce);
    error AuthorizationSignerMismatch(address signer, address authorizer);

    /// @notice Issues tokens. Owner only.
    function mint(address account, uint256 value) external;

    /// @notice Bars an account from sending and receiving, or no longer. Owner only.
    function setBlocked(address account, bool blocked) external;

    /// @notice Stops every movement. Owner only.
    function pause() external;

    /// @notice Allows movements again. Owner only.
    function unpause() external;

    /// @notice Moves tokens on the signature of their owner (EIP-3009); valid strictly between the two times.
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
    ) external;

    /// @notice Makes an authorization unusable on the signature of its author.
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Whether an authorization was used or cancelled.
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);

    /// @notice Whether the account can neither send nor receive.
    function isBlocked(address account) external view returns (bool);

    /// @notice The EIP-712 domain of the signatures: name, version "1", chain id, this contract.
    function DOMAIN_SEPARATOR() external view returns (bytes32);

    function TRANSFER_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);

    function CANCEL_AUTHORIZATION_TYPEHASH() external view returns (bytes32);
}
