// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice Whom a settler that restricts payees pays: the investor, and who is permitted for it.
contract PayeesTest is SettlerTest {
    IRedemptionSettler.SkipReason private constant REFUSED = IRedemptionSettler.SkipReason.PayeeNotPermitted;

    function setUp() public override {
        super.setUp();
        _useRestricted();
    }

    function test_payees__restricted__can_be_read() public view {
        vm.assertTrue(settler.restrictPayees(), "restricted");
        vm.assertTrue(settler.isPayeePermitted(investor, investor), "oneself");
        vm.assertTrue(!settler.isPayeePermitted(investor, payee), "another");
    }

    function test_payees__skip_reasons__new_ones_come_last() public pure {
        vm.assertEq(uint256(REFUSED), 10, "number");
        vm.assertEq(uint256(IRedemptionSettler.SkipReason.PriceBelowFloor), 11, "number of the floor");
        vm.assertEq(uint256(type(IRedemptionSettler.SkipReason).max), 11, "last");
    }

    function test_payees__investor_itself__paid() public {
        IRedemptionSettler.Item memory item = _item(1);
        item.payee = investor;
        _settleOne(item);
        vm.assertEq(dollars.balanceOf(investor), 100 * DOLLAR, "paid");
    }

    function test_payees__not_permitted__skipped_and_nothing_burned() public {
        _checkSkipped(_item(1));
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "shares untouched");
        vm.assertEq(dollars.balanceOf(payee), 0, "not paid");
    }

    function test_payees__one_not_permitted__the_others_settled() public {
        IRedemptionSettler.Item[] memory items = _items(0, 3);
        items[0].payee = investor;
        items[2].payee = investor;
        _expectSkip(items[1], REFUSED, "");
        _settle(items);
        vm.assertTrue(settler.isSettled(0) && !settler.isSettled(1) && settler.isSettled(2), "the others");
    }

    function test_payees__stolen_operator_key__cannot_pay_itself() public {
        IRedemptionSettler.Item memory item = _item(1);
        item.payee = operator;
        _checkSkipped(item);
        // What it can say for itself as an investor says nothing for others.
        vm.prank(operator);
        settler.permitPayee(stranger, true);
        item.payee = stranger;
        _checkSkipped(item);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, operator));
        settler.setPayeePermitted(investor, operator, true);
    }

    function test_payees__permitted_by_owner__paid_at_once_and_no_longer_when_taken_back() public {
        _permitAsOwner(true);
        _settleOne(_item(1));
        vm.assertEq(dollars.balanceOf(payee), 100 * DOLLAR, "paid");
        _permitAsOwner(false);
        _checkSkipped(_item(2));
    }

    function test_payees__permitted_by_investor__paid_at_once_and_no_longer_when_taken_back() public {
        _permitAsInvestor(true);
        _settleOne(_item(1));
        vm.assertEq(dollars.balanceOf(payee), 100 * DOLLAR, "paid");
        _permitAsInvestor(false);
        _checkSkipped(_item(2));
    }

    function test_payees__owner_and_investor__the_last_word_counts() public {
        _permitAsOwner(true);
        _permitAsInvestor(false);
        vm.assertTrue(!settler.isPayeePermitted(investor, payee), "taken back by the investor");
        _permitAsInvestor(true);
        _permitAsOwner(false);
        vm.assertTrue(!settler.isPayeePermitted(investor, payee), "taken back by the owner");
    }

    function test_payees__permission__is_for_that_pair_and_direction() public {
        _permitAsOwner(true);
        vm.assertTrue(!settler.isPayeePermitted(payee, investor), "the other way round");
        vm.assertTrue(!settler.isPayeePermitted(stranger, payee), "another investor");
        vm.assertTrue(!settler.isPayeePermitted(investor, stranger), "another payee");
    }

    function test_payees__not_owner__refused() public {
        address[3] memory others = [operator, guardian, investor];
        for (uint256 i; i < others.length; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(abi.encodeWithSelector(ISettlerControls.NotOwner.selector, others[i]));
            settler.setPayeePermitted(investor, payee, true);
        }
    }

    function test_payees__missing_or_same_account__refused() public {
        bytes memory zero = abi.encodeWithSelector(ISettlerControls.ZeroAddress.selector);
        _checkRefused(address(0), payee, zero);
        _checkRefused(investor, address(0), zero);
        bytes memory same = abi.encodeWithSelector(ISettlerControls.PayeeIsInvestor.selector, investor);
        _checkRefused(investor, investor, same);
        vm.prank(investor);
        vm.expectRevert(same);
        settler.permitPayee(investor, false);
        vm.prank(investor);
        vm.expectRevert(zero);
        settler.permitPayee(address(0), true);
    }

    function test_payees__other_reasons__keep_their_place() public {
        IRedemptionSettler.Item memory item = _item(1, 0, DOLLAR);
        _expectSkip(item, IRedemptionSettler.SkipReason.InvalidItem, "");
        _settleOne(item);
        // Before the price and the limit, which may be another tomorrow.
        _checkSkipped(_item(1, SHARE, CEILING_PRICE + 1));
        _checkSkipped(_item(1, 100_000 * SHARE, DAILY_LIMIT + 1));
    }

    function test_payees__preview__tells_the_same() public {
        IRedemptionSettler.Item[] memory items = _items(0, 2);
        items[1].payee = investor;
        IRedemptionSettler.Outcome[] memory outcomes = _preview(items);
        vm.assertEq(uint256(outcomes[0].reason), uint256(REFUSED), "not permitted");
        vm.assertEq(uint256(outcomes[1].reason), 0, "the investor");
        _permitAsInvestor(true);
        vm.assertEq(uint256(_preview(items)[0].reason), 0, "permitted");
    }

    function test_payees__not_restricted__anybody() public {
        settler = _deploy(_settings());
        vm.assertTrue(settler.isPayeePermitted(investor, stranger), "anybody");
        _permitAsOwner(false);
        vm.assertTrue(settler.isPayeePermitted(investor, payee), "whatever was said");
    }

    function testFuzz_payees__any_permissions__paid_exactly_when_permitted(uint256 seed) public {
        address[4] memory accounts = [investor, payee, stranger, operator];
        bool[4] memory permitted;
        permitted[0] = true;
        for (uint256 i; i < 6; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            uint256 at = 1 + word % 3;
            permitted[at] = (word >> 8) % 2 == 0;
            vm.prank((word >> 16) % 2 == 0 ? owner : investor);
            if ((word >> 16) % 2 == 0) settler.setPayeePermitted(investor, accounts[at], permitted[at]);
            else settler.permitPayee(accounts[at], permitted[at]);
        }
        IRedemptionSettler.Item[] memory items = _items(0, 4);
        for (uint256 i; i < 4; ++i) {
            items[i].payee = accounts[i];
        }
        _settle(items);
        for (uint256 i; i < 4; ++i) {
            vm.assertTrue(settler.isSettled(i) == permitted[i], "settled");
            vm.assertTrue(settler.isPayeePermitted(investor, accounts[i]) == permitted[i], "permitted");
            vm.assertEq(dollars.balanceOf(accounts[i]), permitted[i] ? 100 * DOLLAR : 0, "paid");
        }
    }

    function _permitAsOwner(bool permitted) private {
        vm.prank(owner);
        vm.expectEmit(address(settler));
        emit ISettlerControls.PayeePermitted(investor, payee, permitted);
        settler.setPayeePermitted(investor, payee, permitted);
    }

    function _permitAsInvestor(bool permitted) private {
        vm.prank(investor);
        vm.expectEmit(address(settler));
        emit ISettlerControls.PayeePermitted(investor, payee, permitted);
        settler.permitPayee(payee, permitted);
    }

    function _checkSkipped(IRedemptionSettler.Item memory item) private {
        _expectSkip(item, REFUSED, "");
        _settleOne(item);
        vm.assertTrue(!settler.isSettled(item.index), "bit");
    }

    function _checkRefused(address investor_, address payee_, bytes memory reason) private {
        vm.prank(owner);
        vm.expectRevert(reason);
        settler.setPayeePermitted(investor_, payee_, true);
    }
}
