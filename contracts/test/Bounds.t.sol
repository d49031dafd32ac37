// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice The limit and the price band: narrower at once, wider after the delay.
contract BoundsTest is SettlerTest {
    ISettlerControls.Bound private constant LIMIT = ISettlerControls.Bound.DailyPayoutLimit;
    ISettlerControls.Bound private constant PRICE = ISettlerControls.Bound.CeilingPrice;
    ISettlerControls.Bound private constant FLOOR = ISettlerControls.Bound.FloorPrice;
    uint256 private constant GRACE = 14 days;
    uint48 private constant READY_AT = uint48(START) + CHANGE_DELAY;

    function test_bound__lowered__at_once() public {
        vm.expectEmit(address(settler));
        emit ISettlerControls.BoundNarrowed(LIMIT, DOLLAR, DAILY_LIMIT);
        vm.prank(owner);
        settler.narrowBound(LIMIT, DOLLAR);
        vm.assertEq(settler.dailyPayoutLimit(), DOLLAR, "limit");
        vm.prank(owner);
        settler.narrowBound(PRICE, 0);
        vm.assertEq(settler.ceilingPrice(), 0, "price");
    }

    function test_bound__lowered_to_no_less_or_by_another__refused() public {
        _expect(abi.encodeWithSelector(ISettlerControls.NotNarrower.selector, DAILY_LIMIT, DAILY_LIMIT));
        vm.prank(owner);
        settler.narrowBound(LIMIT, DAILY_LIMIT);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
        vm.prank(guardian);
        settler.narrowBound(LIMIT, 0);
    }

    function test_bound__raised_after_delay() public {
        vm.expectEmit(address(settler));
        emit ISettlerControls.WideningProposed(LIMIT, 2 * DAILY_LIMIT, READY_AT);
        _proposeWidening(LIMIT, 2 * DAILY_LIMIT);
        (uint256 value, uint48 applicableAt) = settler.proposedWidening(LIMIT);
        vm.assertEq(value, 2 * DAILY_LIMIT, "value");
        vm.assertEq(applicableAt, READY_AT, "applicable at");
        vm.warp(READY_AT - 1);
        _expect(abi.encodeWithSelector(ISettlerControls.DelayNotPassed.selector, READY_AT, READY_AT - 1));
        vm.prank(owner);
        settler.applyWidening(LIMIT);
        vm.warp(READY_AT);
        vm.expectEmit(address(settler));
        emit ISettlerControls.BoundWidened(LIMIT, 2 * DAILY_LIMIT, DAILY_LIMIT);
        vm.prank(owner);
        settler.applyWidening(LIMIT);
        vm.assertEq(settler.dailyPayoutLimit(), 2 * DAILY_LIMIT, "limit");
        _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
        vm.prank(owner);
        settler.applyWidening(LIMIT);
    }

    function test_bound__widening_applied_too_late__refused() public {
        _proposeWidening(LIMIT, 2 * DAILY_LIMIT);
        uint256 expiredAt = READY_AT + GRACE;
        vm.warp(expiredAt);
        _expect(abi.encodeWithSelector(ISettlerControls.ProposalExpired.selector, expiredAt, expiredAt));
        vm.prank(owner);
        settler.applyWidening(LIMIT);
        vm.warp(expiredAt - 1);
        vm.prank(owner);
        settler.applyWidening(LIMIT);
        vm.assertEq(settler.dailyPayoutLimit(), 2 * DAILY_LIMIT, "limit");
    }

    function test_floor__raised__at_once() public {
        vm.expectEmit(address(settler));
        emit ISettlerControls.BoundNarrowed(FLOOR, 90 * DOLLAR, 0);
        vm.prank(owner);
        settler.narrowBound(FLOOR, 90 * DOLLAR);
        vm.assertEq(settler.floorPrice(), 90 * DOLLAR, "floor");
        _expect(abi.encodeWithSelector(ISettlerControls.NotNarrower.selector, 90 * DOLLAR, 90 * DOLLAR));
        vm.prank(owner);
        settler.narrowBound(FLOOR, 90 * DOLLAR);
    }

    function test_floor__lowered__after_the_delay() public {
        vm.prank(owner);
        settler.narrowBound(FLOOR, 90 * DOLLAR);
        _expect(abi.encodeWithSelector(ISettlerControls.NotWider.selector, 90 * DOLLAR, 90 * DOLLAR));
        _proposeWidening(FLOOR, 90 * DOLLAR);
        _proposeWidening(FLOOR, 0);
        (uint256 value, uint48 applicableAt) = settler.proposedWidening(FLOOR);
        vm.assertEq(value, 0, "value");
        vm.assertEq(applicableAt, READY_AT, "applicable at");
        vm.warp(READY_AT - 1);
        _expect(abi.encodeWithSelector(ISettlerControls.DelayNotPassed.selector, READY_AT, READY_AT - 1));
        vm.prank(owner);
        settler.applyWidening(FLOOR);
        vm.warp(READY_AT);
        vm.prank(owner);
        settler.applyWidening(FLOOR);
        vm.assertEq(settler.floorPrice(), 0, "floor");
    }

    function test_band__never_crossed() public {
        vm.prank(owner);
        settler.narrowBound(FLOOR, CEILING_PRICE);
        _expect(abi.encodeWithSelector(ISettlerControls.FloorAboveCeiling.selector, CEILING_PRICE, CEILING_PRICE - 1));
        vm.prank(owner);
        settler.narrowBound(PRICE, CEILING_PRICE - 1);
        _expect(abi.encodeWithSelector(ISettlerControls.FloorAboveCeiling.selector, CEILING_PRICE + 1, CEILING_PRICE));
        vm.prank(owner);
        settler.narrowBound(FLOOR, CEILING_PRICE + 1);
    }

    function testFuzz_band__any_changes__floor_at_most_ceiling(uint256 seed) public {
        ISettlerControls.Bound[2] memory bounds = [FLOOR, PRICE];
        for (uint256 i; i < 12; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            (ISettlerControls.Bound bound, uint256 value) = (bounds[seed % 2], (seed >> 8) % (2 * CEILING_PRICE));
            vm.prank(owner);
            if ((seed >> 1) % 2 == 0) {
                try settler.narrowBound(bound, value) {} catch {}
            } else {
                try settler.proposeWidening(bound, value) {} catch {}
            }
            vm.warp(block.timestamp + CHANGE_DELAY);
            bound = bounds[(seed >> 2) % 2];
            uint256 before = bound == FLOOR ? settler.floorPrice() : settler.ceilingPrice();
            vm.prank(owner);
            try settler.applyWidening(bound) {
                bool wider = bound == FLOOR ? settler.floorPrice() < before : settler.ceilingPrice() > before;
                vm.assertTrue(wider, "what was proposed as wider is wider when it is applied");
            } catch {}
            vm.assertLe(settler.floorPrice(), settler.ceilingPrice(), "band");
        }
    }

    function test_bound__raise_proposed_wrongly__refused() public {
        _expect(abi.encodeWithSelector(ISettlerControls.NotWider.selector, CEILING_PRICE, CEILING_PRICE));
        _proposeWidening(PRICE, CEILING_PRICE);
        uint256 tooLarge = 1 << 128;
        _expect(abi.encodeWithSelector(ISettlerControls.SettingOutOfRange.selector, "bound", tooLarge, 0, tooLarge - 1));
        _proposeWidening(PRICE, tooLarge);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
        vm.prank(guardian);
        settler.proposeWidening(PRICE, CEILING_PRICE + 1);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
        vm.prank(guardian);
        settler.applyWidening(PRICE);
    }

    function test_bound__raise_cancelled__cannot_be_applied() public {
        _proposeWidening(PRICE, CEILING_PRICE + 1);
        vm.expectEmit(address(settler));
        emit ISettlerControls.WideningCancelled(PRICE, CEILING_PRICE + 1, guardian);
        vm.prank(guardian);
        settler.cancelWidening(PRICE);
        vm.warp(READY_AT);
        _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
        vm.prank(owner);
        settler.applyWidening(PRICE);
        _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
        vm.prank(owner);
        settler.cancelWidening(PRICE);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwnerOrGuardian.selector, operator));
        vm.prank(operator);
        settler.cancelWidening(PRICE);
    }

    function test_bound__lowered_while_a_raise_waits__raise_is_gone() public {
        _proposeWidening(LIMIT, 2 * DAILY_LIMIT);
        vm.expectEmit(address(settler));
        emit ISettlerControls.WideningCancelled(LIMIT, 2 * DAILY_LIMIT, owner);
        vm.prank(owner);
        settler.narrowBound(LIMIT, DOLLAR);
        (, uint48 applicableAt) = settler.proposedWidening(LIMIT);
        vm.assertEq(applicableAt, 0, "no raise waits");
    }

    function _proposeWidening(ISettlerControls.Bound bound, uint256 value) private {
        vm.prank(owner);
        settler.proposeWidening(bound, value);
    }

    function _expect(bytes memory revertData) private {
        vm.expectRevert(revertData);
    }
}
