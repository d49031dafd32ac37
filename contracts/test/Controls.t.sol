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
    uint256 private constant GRACE = 14 days;
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

    function test_role__accepted_in_the_last_second__moves() public {
        _propose(OPERATOR, stranger);
        vm.warp(READY_AT + GRACE - 1);
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        vm.assertEq(settler.operator(), stranger, "operator");
    }

    function test_role__accepted_too_late__refused_until_proposed_again() public {
        _propose(OPERATOR, stranger);
        uint256 expiredAt = READY_AT + GRACE;
        vm.warp(expiredAt);
        _expect(abi.encodeWithSelector(ISettlerControls.ProposalExpired.selector, expiredAt, expiredAt));
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        _propose(OPERATOR, stranger);
        vm.warp(expiredAt + CHANGE_DELAY);
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        vm.assertEq(settler.operator(), stranger, "operator");
    }

    /// @dev What the owner before has left to ripen must not be there for anybody to take up.
    function test_role__owner_changes__its_proposals_are_gone() public {
        _propose(OPERATOR, stranger);
        _propose(GUARDIAN, stranger);
        _proposeWidening(LIMIT, 2 * DAILY_LIMIT);
        _propose(OWNER, payee);
        vm.warp(READY_AT);
        vm.expectEmit(address(settler));
        emit ISettlerControls.RoleProposalCancelled(OPERATOR, stranger, payee);
        vm.expectEmit(address(settler));
        emit ISettlerControls.RoleProposalCancelled(GUARDIAN, stranger, payee);
        vm.expectEmit(address(settler));
        emit ISettlerControls.WideningCancelled(LIMIT, 2 * DAILY_LIMIT, payee);
        vm.prank(payee);
        settler.acceptRole(OWNER);
        bytes memory nothing = abi.encodeWithSelector(ISettlerControls.NothingProposed.selector);
        _expect(nothing);
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        _expect(nothing);
        vm.prank(stranger);
        settler.acceptRole(GUARDIAN);
        _expect(nothing);
        vm.prank(payee);
        settler.applyWidening(LIMIT);
    }

    function test_role__operator_or_guardian_changes__other_proposals_stay() public {
        _propose(OPERATOR, stranger);
        _propose(GUARDIAN, payee);
        _proposeWidening(LIMIT, 2 * DAILY_LIMIT);
        vm.warp(READY_AT);
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        vm.prank(payee);
        settler.acceptRole(GUARDIAN);
        vm.prank(owner);
        settler.applyWidening(LIMIT);
        vm.assertEq(settler.dailyPayoutLimit(), 2 * DAILY_LIMIT, "limit");
    }

    function test_guardian__own_replacement__cannot_be_cancelled_by_it() public {
        _propose(GUARDIAN, stranger);
        _expect(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, guardian));
        vm.prank(guardian);
        settler.cancelRole(GUARDIAN);
        vm.warp(READY_AT);
        vm.prank(stranger);
        settler.acceptRole(GUARDIAN);
        vm.assertEq(settler.guardian(), stranger, "guardian");
        _propose(GUARDIAN, guardian);
        vm.prank(owner);
        settler.cancelRole(GUARDIAN);
        (address proposed,) = settler.proposedRole(GUARDIAN);
        vm.assertEq(proposed, address(0), "the owner may");
    }

    function test_operator__revoked__ripe_proposals_do_not_outrun_it() public {
        _propose(OPERATOR, stranger);
        _proposeWidening(LIMIT, 2 * DAILY_LIMIT);
        _proposeWidening(PRICE, 2 * CEILING_PRICE);
        _propose(GUARDIAN, payee);
        vm.warp(READY_AT);
        vm.prank(guardian);
        settler.revokeOperator();
        bytes memory nothing = abi.encodeWithSelector(ISettlerControls.NothingProposed.selector);
        _expect(nothing);
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        ISettlerControls.Bound[2] memory bounds = [LIMIT, PRICE];
        for (uint256 i; i < bounds.length; ++i) {
            _expect(nothing);
            vm.prank(owner);
            settler.applyWidening(bounds[i]);
        }
        // The way back: a new operator waits its whole delay. The guardian's replacement goes on.
        vm.prank(payee);
        settler.acceptRole(GUARDIAN);
        _propose(OPERATOR, stranger);
        vm.warp(READY_AT + CHANGE_DELAY);
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        vm.assertEq(settler.operator(), stranger, "operator");
    }

    function test_pause__proposals_ripen_meanwhile() public {
        _propose(OPERATOR, stranger);
        vm.prank(guardian);
        settler.pause();
        vm.warp(READY_AT);
        vm.prank(stranger);
        settler.acceptRole(OPERATOR);
        vm.assertEq(settler.operator(), stranger, "operator");
        vm.assertTrue(settler.paused(), "and nothing settles until the owner says so");
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

    function _proposeWidening(ISettlerControls.Bound bound, uint256 value) private {
        vm.prank(owner);
        settler.proposeWidening(bound, value);
    }

    function _expect(bytes memory revertData) private {
        vm.expectRevert(revertData);
    }
}
