// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "./interfaces/IRedemptionSettler.sol";

/// @title Items as they stand in the calldata
/// @notice An item is six words without gaps: id 0x00, index 0x20, investor 0x40, payee 0x60, shares 0x80, payout 0xa0.
/// In assembly, so that words are checked together and nothing is decoded and encoded again on its way.
library ItemData {
    uint256 private constant INDEX_BITS = 62;

    /// @notice Whether the index, the amounts and the investor can be settled at all: the index is within 62 bits, neither
    /// amount is zero or wider than 128 bits, the investor is no zero address, none wider than 160 bits, neither the
    /// settler nor one of its tokens; and the payee is not the treasury. A payee that is another account than the investor
    /// is to be asked about in `payeeIsValid`.
    function isValid(IRedemptionSettler.Item calldata item, address treasury, address shareToken, address payoutToken)
        internal
        view
        returns (bool valid)
    {
        assembly ("memory-safe") {
            let investor := calldataload(add(item, 0x40))
            let shares := calldataload(add(item, 0x80))
            let payout := calldataload(add(item, 0xa0))
            let zero := or(iszero(investor), or(iszero(shares), iszero(payout)))
            let tooWide := or(shr(160, investor), shr(128, or(shares, payout)))
            let tooFar := shr(INDEX_BITS, calldataload(add(item, 0x20)))
            let excluded := or(eq(investor, address()), eq(calldataload(add(item, 0x60)), treasury))
            let token := or(eq(investor, shareToken), eq(investor, payoutToken))
            valid := iszero(or(or(or(zero, tooWide), tooFar), or(excluded, token)))
        }
    }

    /// @notice Whether the payee can be paid at all: no zero address, none wider than 160 bits, neither the settler nor one
    /// of its tokens. A payee that is the investor of an item that `isValid` can.
    function payeeIsValid(IRedemptionSettler.Item calldata item, address shareToken, address payoutToken)
        internal
        view
        returns (bool valid)
    {
        assembly ("memory-safe") {
            let payee := calldataload(add(item, 0x60))
            let excluded := or(eq(payee, address()), or(eq(payee, shareToken), eq(payee, payoutToken)))
            valid := iszero(or(or(iszero(payee), shr(160, payee)), excluded))
        }
    }

    /// @notice The accounts of an item that `isValid` and whose payee is its investor or valid too.
    function accounts(IRedemptionSettler.Item calldata item) internal pure returns (address investor, address payee) {
        assembly ("memory-safe") {
            investor := calldataload(add(item, 0x40))
            payee := calldataload(add(item, 0x60))
        }
    }

    /// @notice Whether the payee is another account than the investor.
    function paysAnother(IRedemptionSettler.Item calldata item) internal pure returns (bool another) {
        assembly ("memory-safe") {
            another := iszero(eq(calldataload(add(item, 0x40)), calldataload(add(item, 0x60))))
        }
    }

    /// @notice The item behind this one in its array.
    function next(IRedemptionSettler.Item calldata item)
        internal
        pure
        returns (IRedemptionSettler.Item calldata following)
    {
        assembly ("memory-safe") {
            following := add(item, 0xc0)
        }
    }

    /// @notice keccak256(abi.encode(previousBatchHash, keccak256(abi.encode(items)))).
    function followingHash(IRedemptionSettler.Item[] calldata items, bytes32 previousBatchHash)
        internal
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            // abi.encode(items): the offset of the array, its length, the items as they stand in the calldata.
            let data := mload(0x40)
            let size := mul(items.length, 0xc0)
            mstore(data, 0x20)
            mstore(add(data, 0x20), items.length)
            calldatacopy(add(data, 0x40), items.offset, size)
            mstore(0, previousBatchHash)
            mstore(0x20, keccak256(data, add(size, 0x40)))
            hash := keccak256(0, 0x40)
        }
    }
}
