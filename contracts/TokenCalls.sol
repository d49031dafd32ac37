// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Calls to tokens that may not keep the standard
/// @notice A call that answers nothing has succeeded, one that answers zero (`false`) or less than a word has failed.
/// Only the first word of an answer is copied, so no answer can be made long enough to use the caller's gas up.
/// After a failure the answer stands in the return data, until the next call.
library TokenCalls {
    /// @notice Makes a call with ready calldata.
    function tryCall(address token, bytes memory data) internal returns (bool succeeded) {
        assembly ("memory-safe") {
            succeeded := call(gas(), token, 0, add(data, 0x20), mload(data), 0, 0x20)
            succeeded := and(succeeded, or(iszero(returndatasize()), and(gt(returndatasize(), 0x1f), gt(mload(0), 0))))
        }
    }

    /// @notice Calls a function of an address and an amount, as most burns are.
    function tryBurn(address token, bytes4 selector, address account, uint256 shares)
        internal
        returns (bool succeeded)
    {
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, selector)
            mstore(add(data, 0x04), account)
            mstore(add(data, 0x24), shares)
            succeeded := call(gas(), token, 0, data, 0x44, 0, 0x20)
            succeeded := and(succeeded, or(iszero(returndatasize()), and(gt(returndatasize(), 0x1f), gt(mload(0), 0))))
        }
    }

    /// @notice Moves tokens out of an allowance.
    function tryTransferFrom(address token, address from, address to, uint256 value) internal returns (bool succeeded) {
        bytes4 selector = IERC20.transferFrom.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, selector)
            mstore(add(data, 0x04), from)
            mstore(add(data, 0x24), to)
            mstore(add(data, 0x44), value)
            succeeded := call(gas(), token, 0, data, 0x64, 0, 0x20)
            succeeded := and(succeeded, or(iszero(returndatasize()), and(gt(returndatasize(), 0x1f), gt(mload(0), 0))))
        }
    }

    /// @notice Reads a balance.
    function tryBalanceOf(address token, address account) internal view returns (bool succeeded, uint256 held) {
        bytes4 selector = IERC20.balanceOf.selector;
        assembly ("memory-safe") {
            mstore(0, selector)
            mstore(0x04, account)
            succeeded := staticcall(gas(), token, 0, 0x24, 0, 0x20)
            succeeded := and(succeeded, gt(returndatasize(), 0x1f))
            held := mload(0)
        }
    }
}
