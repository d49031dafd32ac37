// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "./interfaces/IRedemptionSettler.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Calls to tokens that may not keep the standard
/// @notice A failed call ends the item's frame with the reason and the token's own words. Never copies more than
/// 256 bytes of a token's answer, so no answer can be made large enough to use the item's gas up.
library TokenCalls {
    uint256 private constant DETAIL_BYTES_MAX = 256;

    /// @notice Calls a token; a revert and a returned `false` end the frame, no return value is success.
    function callOrSkip(address token, bytes memory data, IRedemptionSettler.SkipReason reason) internal {
        uint256 gasBefore = gasleft();
        bool accepted;
        assembly ("memory-safe") {
            accepted := call(gas(), token, 0, add(data, 0x20), mload(data), 0, 0x20)
            if and(accepted, gt(returndatasize(), 0)) {
                accepted := and(gt(returndatasize(), 0x1f), iszero(iszero(mload(0))))
            }
        }
        if (!accepted) _skip(reason, gasBefore);
    }

    /// @notice The balance of an account; a token that cannot say it ends the frame.
    function balanceOrSkip(address token, address account, IRedemptionSettler.SkipReason reason)
        internal
        view
        returns (uint256 held)
    {
        uint256 gasBefore = gasleft();
        bytes4 selector = IERC20.balanceOf.selector;
        bool accepted;
        assembly ("memory-safe") {
            mstore(0, selector)
            mstore(4, account)
            accepted := and(gt(returndatasize(), 0x1f), staticcall(gas(), token, 0, 0x24, 0, 0x20))
            held := mload(0)
        }
        if (!accepted) _skip(reason, gasBefore);
    }

    function _skip(IRedemptionSettler.SkipReason reason, uint256 gasBefore) private view {
        uint256 size;
        assembly ("memory-safe") {
            size := returndatasize()
        }
        if (size == 0 && gasleft() < gasBefore / 16) {
            revert IRedemptionSettler.ItemReverted(IRedemptionSettler.SkipReason.ItemOutOfGas, "");
        }
        if (size > DETAIL_BYTES_MAX) size = DETAIL_BYTES_MAX;
        bytes memory detail = new bytes(size);
        assembly ("memory-safe") {
            returndatacopy(add(detail, 0x20), 0, size)
        }
        revert IRedemptionSettler.ItemReverted(reason, detail);
    }
}
