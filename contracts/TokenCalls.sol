// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Calls to tokens that may not keep the standard
/// @notice A call that answers nothing has succeeded, one that answers zero (`false`) or less than a word has failed.
/// Only the first word of an answer is copied, so no answer can be made long enough to use the caller's gas up.
/// After a failure the answer stands in the return data, until the next call.
///
/// In assembly because these calls are most of what a redemption costs beyond the tokens themselves. Throughout:
///
/// - A selector is the last four bytes of a word, so calldata begins 0x1c into the word that holds it.
/// - Balances are asked for out of scratch space: the selector in its first word, which the answer then overwrites, and
///   the account in its second, which stays.
/// - Other calldata is written where free memory begins and used before anything else can be written there.
/// - The arguments of `and` are evaluated from the last to the first: the call, then what it answered.
library TokenCalls {
    uint256 private constant BALANCE_OF = 0x70a08231;
    uint256 private constant TRANSFER_FROM = 0x23b872dd;

    /// @notice The balance changed by exactly the amount.
    uint256 internal constant EXACT = 0;
    /// @notice No call failed, and a balance changed by something else.
    uint256 internal constant NOT_EXACT = 1;
    /// @notice A call failed; its answer stands in the return data.
    uint256 internal constant FAILED = 2;

    /// @notice A balance that is still to be read: every bit set.
    uint256 internal constant UNKNOWN = type(uint256).max;

    /// @notice Burns shares, and compares the account's balance before and after.
    /// @param selector of a function of an account and an amount, as the last four bytes of the word.
    function burnExactly(address token, uint256 selector, address account, uint256 shares)
        internal
        returns (uint256 verdict)
    {
        assembly ("memory-safe") {
            verdict := FAILED
            // Not a loop: `break` leaves it at the first call that fails.
            for {} 1 {} {
                mstore(0x20, account)
                mstore(0, BALANCE_OF)
                if iszero(and(gt(returndatasize(), 0x1f), staticcall(gas(), token, 0x1c, 0x24, 0, 0x20))) {
                    break
                }
                let expected := sub(mload(0), shares)

                let data := mload(0x40)
                mstore(data, selector)
                mstore(add(data, 0x20), account)
                mstore(add(data, 0x40), shares)
                if iszero(
                    and(
                        or(iszero(returndatasize()), and(gt(returndatasize(), 0x1f), gt(mload(0), 0))),
                        call(gas(), token, 0, add(data, 0x1c), 0x44, 0, 0x20)
                    )
                ) { break }

                mstore(0, BALANCE_OF)
                if iszero(and(gt(returndatasize(), 0x1f), staticcall(gas(), token, 0x1c, 0x24, 0, 0x20))) {
                    break
                }
                verdict := iszero(eq(mload(0), expected))
                break
            }
        }
    }

    /// @notice Moves tokens out of an allowance, and compares both balances before and after: a token may take its fee
    /// from the receiver, or from the sender on top of what the receiver gets. The two must be different accounts.
    /// @dev The same steps as `burnExactly`, written out again: a shared function would cost every redemption some
    /// fifty gas for its arguments. For the same reason the sender's balance is handed from one transfer to the next.
    /// @param heldBefore the sender's balance, or `UNKNOWN` to have it read.
    /// @return verdict one of the three above.
    /// @return heldAfter the sender's balance when the verdict is `EXACT`.
    function transferExactly(address token, address from, address to, uint256 value, uint256 heldBefore)
        internal
        returns (uint256 verdict, uint256 heldAfter)
    {
        assembly ("memory-safe") {
            verdict := FAILED
            for {} 1 {} {
                if iszero(not(heldBefore)) {
                    mstore(0x20, from)
                    mstore(0, BALANCE_OF)
                    if iszero(and(gt(returndatasize(), 0x1f), staticcall(gas(), token, 0x1c, 0x24, 0, 0x20))) {
                        break
                    }
                    heldBefore := mload(0)
                }
                mstore(0x20, to)
                mstore(0, BALANCE_OF)
                if iszero(and(gt(returndatasize(), 0x1f), staticcall(gas(), token, 0x1c, 0x24, 0, 0x20))) {
                    break
                }
                let expected := add(mload(0), value)

                let data := mload(0x40)
                mstore(data, TRANSFER_FROM)
                mstore(add(data, 0x20), from)
                mstore(add(data, 0x40), to)
                mstore(add(data, 0x60), value)
                if iszero(
                    and(
                        or(iszero(returndatasize()), and(gt(returndatasize(), 0x1f), gt(mload(0), 0))),
                        call(gas(), token, 0, add(data, 0x1c), 0x64, 0, 0x20)
                    )
                ) { break }

                mstore(0, BALANCE_OF)
                if iszero(and(gt(returndatasize(), 0x1f), staticcall(gas(), token, 0x1c, 0x24, 0, 0x20))) {
                    break
                }
                let received := eq(mload(0), expected)

                mstore(0x20, from)
                mstore(0, BALANCE_OF)
                if iszero(and(gt(returndatasize(), 0x1f), staticcall(gas(), token, 0x1c, 0x24, 0, 0x20))) {
                    break
                }
                heldAfter := mload(0)
                verdict := iszero(and(received, eq(heldAfter, sub(heldBefore, value))))
                break
            }
        }
    }

    /// @notice Makes a call with ready calldata.
    function tryCall(address token, bytes memory data) internal returns (bool succeeded) {
        assembly ("memory-safe") {
            succeeded := and(
                or(iszero(returndatasize()), and(gt(returndatasize(), 0x1f), gt(mload(0), 0))),
                call(gas(), token, 0, add(data, 0x20), mload(data), 0, 0x20)
            )
        }
    }

    /// @notice Reads a balance.
    function tryBalanceOf(address token, address account) internal view returns (bool succeeded, uint256 held) {
        assembly ("memory-safe") {
            mstore(0x20, account)
            mstore(0, BALANCE_OF)
            succeeded := and(gt(returndatasize(), 0x1f), staticcall(gas(), token, 0x1c, 0x24, 0, 0x20))
            held := mload(0)
        }
    }
}
