// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice The 24-hour limit: never exceeded in any span of a day, and free again an hour after the day at the latest.
contract DailyLimitTest is SettlerTest {
    uint256 private _index;

    struct Payment {
        uint256 timestamp;
        uint256 payout;
    }

    Payment[] private _payments;

    function test_limit__paid_in_full__nothing_left_for_a_day() public {
        _pay(DAILY_LIMIT);
        vm.assertEq(settler.payoutAvailable(), 0, "at once");
        vm.warp(START + 24 hours);
        vm.assertEq(settler.payoutAvailable(), 0, "to the last second of the day");
        vm.warp((START / 1 hours + 25) * 1 hours - 1);
        vm.assertEq(settler.payoutAvailable(), 0, "to the end of the hour");
        vm.warp((START / 1 hours + 25) * 1 hours);
        vm.assertEq(settler.payoutAvailable(), DAILY_LIMIT, "then all");
    }

    function test_limit__paid_in_parts__freed_in_parts() public {
        uint256 part = DAILY_LIMIT / 4;
        for (uint256 i; i < 4; ++i) {
            _pay(part);
            vm.warp(block.timestamp + 6 hours);
        }
        uint256 firstHour = START / 1 hours;
        for (uint256 i; i < 4; ++i) {
            vm.warp((firstHour + 6 * i + 25) * 1 hours - 1);
            vm.assertEq(settler.payoutAvailable(), part * i, "before");
            vm.warp((firstHour + 6 * i + 25) * 1 hours);
            vm.assertEq(settler.payoutAvailable(), part * (i + 1), "after");
        }
    }

    function test_limit__ring_reused_a_lap_later__old_hours_do_not_count() public {
        for (uint256 lap; lap < 3; ++lap) {
            _pay(DAILY_LIMIT);
            vm.warp(block.timestamp + 25 hours);
        }
        vm.assertEq(dollars.balanceOf(payee), 3 * DAILY_LIMIT, "paid every lap");
        vm.warp(block.timestamp + 400 days);
        vm.assertEq(settler.payoutAvailable(), DAILY_LIMIT, "after a long rest");
    }

    function test_limit__lowered_below_what_was_paid__nothing_left() public {
        _pay(DAILY_LIMIT / 2);
        vm.prank(owner);
        settler.narrowBound(_limitBound(), DAILY_LIMIT / 4);
        vm.assertEq(settler.payoutAvailable(), 0, "no underflow");
    }

    function test_limit__first_hours_of_a_young_chain() public {
        vm.warp(1);
        _pay(DAILY_LIMIT / 2);
        vm.warp(24 hours + 1);
        vm.assertEq(settler.payoutAvailable(), DAILY_LIMIT / 2, "within 25 hours");
        vm.warp(25 hours);
        vm.assertEq(settler.payoutAvailable(), DAILY_LIMIT, "after them");
    }

    function testFuzz_limit__any_history__no_day_exceeds_it(uint256 seed) public {
        for (uint256 i; i < 40; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            // Mostly close together, now and then more than a day apart.
            vm.warp(block.timestamp + (word % 8 == 0 ? word % 40 hours : word % 3 hours));
            uint256 payout = 1 + (word >> 64) % (DAILY_LIMIT / 3);
            uint256 expected = _modelAvailable();
            vm.assertEq(settler.payoutAvailable(), expected, "available as in the model");
            _pay(payout);
            if (payout <= expected) _payments.push(Payment(block.timestamp, payout));
            vm.assertLe(_paidSince(block.timestamp - 24 hours), DAILY_LIMIT, "a day's payouts");
        }
    }

    function _modelAvailable() private view returns (uint256) {
        uint256 windowStart = (block.timestamp / 1 hours - 24) * 1 hours;
        return DAILY_LIMIT - _paidSince(windowStart);
    }

    function _paidSince(uint256 start) private view returns (uint256 total) {
        for (uint256 i; i < _payments.length; ++i) {
            if (_payments[i].timestamp >= start) total += _payments[i].payout;
        }
    }

    function _pay(uint256 payout) private {
        _settleOne(_item(_index++, 10_000 * SHARE, payout));
    }

    function _limitBound() private pure returns (ISettlerControls.Bound) {
        return ISettlerControls.Bound.DailyPayoutLimit;
    }
}
