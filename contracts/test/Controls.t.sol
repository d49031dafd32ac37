// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice Who may change what, and when it takes effect.
contract ControlsTest is SettlerTest {
    ISettlerControls.Role private constant OWNER = ISettlerControls.Role.Owner;
    ISettlerControls.Role private constant OPERATOR = ISettlerControls.Role.Operator;
    ISettlerControls.Role private constant GUARDIAN = ISettlerControls.Role.Guardian;
    ISettlerControls.Bound private constant LIMIT = ISettlerControls.Bound.DailyPayoutLimit;
    ISettlerControls.Bound private constant PRICE = ISettlerControls.Bound.CeilingPrice;
    uint48 private constant READY_AT = uint48(START) + CHANGE_DELAY;

    function test_role__accepted_after_delay__moves() public {
        ISettlerControls.Role[3] memory roles = [OWNER, OPERATOR, GUARDIAN];
        address[3] memory before = [owner, operator, guardian];
        for (uint256 i = 1; i <= 3; ++i) {
            // The owner last, since it proposes the others.
            ISettlerControls.Role role = roles[i % 3];
            vm.warp(START);
            vm.expectEmit(address(settler));
            emit ISettlerControls.RoleProposed(role, stranger, READY_AT);
            vm.prank(owner);
            settler.proposeRole(role, stranger);
            (address proposed, uint48 acceptableAt) = settler.proposedRole(role);
            vm.assertEq(proposed, stranger, "proposed");
            vm.assertEq(acceptableAt, READY_AT, "acceptable at");
            vm.warp(READY_AT);
            vm.expectEmit(address(settler));
            emit ISettlerControls.RoleAccepted(role, stranger, before[i % 3]);
            vm.prank(stranger);
            settler.acceptRole(role);
            (proposed,) = settler.proposedRole(role);
            vm.assertEq(proposed, address(0), "proposal used up");
        }
        vm.assertEq(settler.owner(), stranger, "owner");
        vm.assertEq(settler.operator(), stranger, "operator");
        vm.assertEq(settler.guardian(), stranger, "guardian");
    }

    function test_role__accepted_too_early__refused() public {
        _propose(OPERATOR, stranger);
        vm.warp(READY_AT - 1);
        _expect(abi.encodeWithSelector(ISettlerControls.DelayNotPassed.selector, READY_AT, READY_AT - 1));
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
    }

    function test_role__accepted_by_another__refused() public {
        _propose(OPERATOR, stranger);
        vm.warp(READY_AT);
        _expect(abi.encodeWithSelector(ISettlerControls.NotProposed.selector, owner, stranger));
        vm.prank(owner);
        settler.acceptRole(OPERATOR);
    }

    function test_role__nothing_proposed__refused() public {
        _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
        vm.prank(owner);
        settler.cancelRole(OPERATOR);
    }

    function test_role__proposed_again__waits_anew() public {
        _propose(OPERATOR, stranger);
        vm.warp(READY_AT);
        _propose(OPERATOR, stranger);
        _expect(abi.encodeWithSelector(ISettlerControls.DelayNotPassed.selector, READY_AT + CHANGE_DELAY, READY_AT));
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
    }

    function test_role__proposed_by_another_or_for_nobody__refused() public {
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
        vm.prank(guardian);
        settler.proposeRole(OPERATOR, stranger);
        _expect(abi.encodeWithSelector(ISettlerControls.ZeroAddress.selector));
        vm.prank(owner);
        settler.proposeRole(OPERATOR, address(0));
    }

    function test_role__cancelled_by_owner_or_guardian__cannot_be_accepted() public {
        address[2] memory cancellers = [owner, guardian];
        for (uint256 i; i < 2; ++i) {
            vm.warp(START);
            _propose(OWNER, stranger);
            vm.expectEmit(address(settler));
            emit ISettlerControls.RoleProposalCancelled(OWNER, stranger, cancellers[i]);
            vm.prank(cancellers[i]);
            settler.cancelRole(OWNER);
            vm.warp(READY_AT);
            _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
            vm.prank(stranger);
            settler.acceptRole(OWNER);
        }
    }

    function test_role__cancelled_by_operator__refused() public {
        _propose(OPERATOR, stranger);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwnerOrGuardian.selector, operator));
        vm.prank(operator);
        settler.cancelRole(OPERATOR);
    }

    function test_operator__revoked__settles_no_more() public {
        vm.expectEmit(address(settler));
        emit ISettlerControls.OperatorRevoked(operator, guardian);
        vm.prank(guardian);
        settler.revokeOperator();
        vm.assertEq(settler.operator(), address(0), "operator");
        _expect(abi.encodeWithSelector(ISettlerControls.NotOperator.selector, operator));
        vm.prank(operator);
        settler.settle(0, _items(0, 1));
    }

    function test_operator__revoked_twice_or_by_another__refused() public {
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwnerOrGuardian.selector, stranger));
        vm.prank(stranger);
        settler.revokeOperator();
        vm.prank(owner);
        settler.revokeOperator();
        _expect(abi.encodeWithSelector(ISettlerControls.ZeroAddress.selector));
        vm.prank(owner);
        settler.revokeOperator();
    }

    function test_bound__lowered__at_once() public {
        vm.expectEmit(address(settler));
        emit ISettlerControls.BoundLowered(LIMIT, DOLLAR, DAILY_LIMIT);
        vm.prank(owner);
        settler.lowerBound(LIMIT, DOLLAR);
        vm.assertEq(settler.dailyPayoutLimit(), DOLLAR, "limit");
        vm.prank(owner);
        settler.lowerBound(PRICE, 0);
        vm.assertEq(settler.ceilingPrice(), 0, "price");
    }

    function test_bound__lowered_to_no_less_or_by_another__refused() public {
        _expect(abi.encodeWithSelector(ISettlerControls.NotLower.selector, DAILY_LIMIT, DAILY_LIMIT));
        vm.prank(owner);
        settler.lowerBound(LIMIT, DAILY_LIMIT);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
        vm.prank(guardian);
        settler.lowerBound(LIMIT, 0);
    }

    function test_bound__raised_after_delay() public {
        vm.expectEmit(address(settler));
        emit ISettlerControls.BoundRaiseProposed(LIMIT, 2 * DAILY_LIMIT, READY_AT);
        _proposeRaise(LIMIT, 2 * DAILY_LIMIT);
        (uint256 value, uint48 applicableAt) = settler.proposedRaise(LIMIT);
        vm.assertEq(value, 2 * DAILY_LIMIT, "value");
        vm.assertEq(applicableAt, READY_AT, "applicable at");
        vm.warp(READY_AT - 1);
        _expect(abi.encodeWithSelector(ISettlerControls.DelayNotPassed.selector, READY_AT, READY_AT - 1));
        vm.prank(owner);
        settler.applyRaise(LIMIT);
        vm.warp(READY_AT);
        vm.expectEmit(address(settler));
        emit ISettlerControls.BoundRaised(LIMIT, 2 * DAILY_LIMIT, DAILY_LIMIT);
        vm.prank(owner);
        settler.applyRaise(LIMIT);
        vm.assertEq(settler.dailyPayoutLimit(), 2 * DAILY_LIMIT, "limit");
        _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
        vm.prank(owner);
        settler.applyRaise(LIMIT);
    }

    function test_bound__raise_proposed_wrongly__refused() public {
        _expect(abi.encodeWithSelector(ISettlerControls.NotHigher.selector, CEILING_PRICE, CEILING_PRICE));
        _proposeRaise(PRICE, CEILING_PRICE);
        uint256 tooLarge = 1 << 128;
        _expect(abi.encodeWithSelector(ISettlerControls.SettingOutOfRange.selector, "bound", tooLarge, 0, tooLarge - 1));
        _proposeRaise(PRICE, tooLarge);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
        vm.prank(guardian);
        settler.proposeRaise(PRICE, CEILING_PRICE + 1);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
        vm.prank(guardian);
        settler.applyRaise(PRICE);
    }

    function test_bound__raise_cancelled__cannot_be_applied() public {
        _proposeRaise(PRICE, CEILING_PRICE + 1);
        vm.expectEmit(address(settler));
        emit ISettlerControls.BoundRaiseCancelled(PRICE, CEILING_PRICE + 1, guardian);
        vm.prank(guardian);
        settler.cancelRaise(PRICE);
        vm.warp(READY_AT);
        _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
        vm.prank(owner);
        settler.applyRaise(PRICE);
        _expect(abi.encodeWithSelector(ISettlerControls.NothingProposed.selector));
        vm.prank(owner);
        settler.cancelRaise(PRICE);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwnerOrGuardian.selector, operator));
        vm.prank(operator);
        settler.cancelRaise(PRICE);
    }

    function test_bound__lowered_while_a_raise_waits__raise_is_gone() public {
        _proposeRaise(LIMIT, 2 * DAILY_LIMIT);
        vm.expectEmit(address(settler));
        emit ISettlerControls.BoundRaiseCancelled(LIMIT, 2 * DAILY_LIMIT, owner);
        vm.prank(owner);
        settler.lowerBound(LIMIT, DOLLAR);
        (, uint48 applicableAt) = settler.proposedRaise(LIMIT);
        vm.assertEq(applicableAt, 0, "no raise waits");
    }

    function test_pause__by_owner_or_guardian__lifted_by_owner_only() public {
        address[2] memory pausers = [owner, guardian];
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit(address(settler));
            emit ISettlerControls.Paused(pausers[i]);
            vm.prank(pausers[i]);
            settler.pause();
            vm.assertTrue(settler.paused(), "paused");
            _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
            vm.prank(guardian);
            settler.unpause();
            vm.expectEmit(address(settler));
            emit ISettlerControls.Unpaused(owner);
            vm.prank(owner);
            settler.unpause();
            vm.assertTrue(!settler.paused(), "not paused");
        }
        _settleOne(_item(0));
        vm.assertTrue(settler.isSettled(0), "settles again");
    }

    function test_pause__twice_or_by_another__refused() public {
        _expect(abi.encodeWithSelector(ISettlerControls.SettlerNotPaused.selector));
        vm.prank(owner);
        settler.unpause();
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwnerOrGuardian.selector, operator));
        vm.prank(operator);
        settler.pause();
        vm.prank(guardian);
        settler.pause();
        _expect(abi.encodeWithSelector(ISettlerControls.SettlerPaused.selector));
        vm.prank(guardian);
        settler.pause();
    }

    function _propose(ISettlerControls.Role role, address account) private {
        vm.prank(owner);
        settler.proposeRole(role, account);
    }

    function _proposeRaise(ISettlerControls.Bound bound, uint256 value) private {
        vm.prank(owner);
        settler.proposeRaise(bound, value);
    }

    function _expect(bytes memory revertData) private {
        vm.expectRevert(revertData);
    }
}
