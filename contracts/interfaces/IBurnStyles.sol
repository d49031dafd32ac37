// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The burn functions fund tokens are known to have
/// @notice No token has all of them; the settler calls the one its fund's token has.
interface IBurnStyles {
    function burn(address account, uint256 shares) external;

    function burn(address account, uint256 shares, string calldata reason) external;

    function burn(address account, uint256 shares, bytes calldata data) external;

    function burnFrom(address account, uint256 shares) external;

    function adminBurn(address account, uint256 shares) external;

    /// @notice Burns the caller's own shares.
    function burn(uint256 shares) external;
}
