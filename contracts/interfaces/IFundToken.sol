// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title Reference share token of a fund
/// @notice An ERC-20 that only permitted holders can hold, minted and burned by roles.
interface IFundToken is IERC20Metadata {
    /// @notice The account may hold shares from now on, or no longer.
    event HolderPermitted(address indexed account, bool permitted);

    /// @notice The account is not a permitted holder: it can neither receive, send nor redeem shares.
    error HolderNotPermitted(address account);

    /// @notice The supply would pass 2^255 - 1.
    error SupplyTooLarge(uint256 shares);

    /// @notice Issues shares to a permitted holder. Role `MINTER_ROLE`.
    function mint(address account, uint256 shares) external;

    /// @notice Burns a permitted holder's shares without an allowance. Role `BURNER_ROLE`.
    function burn(address account, uint256 shares) external;

    /// @notice Adds an account to the permitted holders or removes it. Role `REGISTRAR_ROLE`.
    function setPermitted(address account, bool permitted) external;

    /// @notice Stops every movement of shares. Role `PAUSER_ROLE`.
    function pause() external;

    /// @notice Allows movements of shares again. Role `PAUSER_ROLE`.
    function unpause() external;

    function isPermitted(address account) external view returns (bool);

    function MINTER_ROLE() external view returns (bytes32);

    function BURNER_ROLE() external view returns (bytes32);

    function PAUSER_ROLE() external view returns (bytes32);

    function REGISTRAR_ROLE() external view returns (bytes32);
}
