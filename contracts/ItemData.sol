// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "./interfaces/IRedemptionSettler.sol";

/// @title Items as they stand in the calldata
/// @notice An item is six words without gaps: id 0x00, index 0x20, investor 0x40, payee 0x60, shares 0x80, payout 0xa0.
/// In assembly, so that words are checked together and nothing is decoded and encoded again on its way.
library ItemData {
    uint256 private constant INDEX_BITS = 62;

    /// @notice Whether the index, addresses and amounts can be settled at all: the index is within 62 bits, nothing
    /// else is zero, no address is wider than 160 bits, no amount wider than 128, neither account is the settler or one
    /// of its tokens, and the payee is not the treasury.
    function isValid(IRedemptionSettler.Item calldata item, address treasury, address shareToken, address payoutToken)
        internal
        view
        returns (bool valid)
    {
        assembly ("memory-safe") {
            let investor := calldataload(add(item, 0x40))
            let payee := calldataload(add(item, 0x60))
            let shares := calldataload(add(item, 0x80))
            let payout := calldataload(add(item, 0xa0))
            let zero := or(or(iszero(investor), iszero(payee)), or(iszero(shares), iszero(payout)))
            let tooWide := or(shr(160, or(investor, payee)), shr(128, or(shares, payout)))
            let tooFar := shr(INDEX_BITS, calldataload(add(item, 0x20)))
            let excluded := or(eq(investor, address()), or(eq(payee, address()), eq(payee, treasury)))
            let token :=
                or(
                    or(eq(investor, shareToken), eq(investor, payoutToken)),
                    or(eq(payee, shareToken), eq(payee, payoutToken))
                )
            valid := iszero(or(or(or(zero, tooWide), tooFar), or(excluded, token)))
        }
    }

    /// @notice The accounts of an item that `isValid`.
    function accounts(IRedemptionSettler.Item calldata item) internal pure returns (address investor, address payee) {
        assembly ("memory-safe") {
            investor := calldataload(add(item, 0x40))
            payee := calldataload(add(item, 0x60))
        }
    }

    /// @notice Whether the payee of an item that `isValid` is another account than its investor.
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
