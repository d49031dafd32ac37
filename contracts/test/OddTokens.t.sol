// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {SettlerTest} from "./SettlerTest.sol";
import {
    BurnsFromAnotherShare,
    FeeTakingToken,
    ForgetfulToken,
    GasBurningToken,
    MisbehavingShare,
    OddToken,
    ReentrantToken,
    ReturnsFalseToken,
    SelfFillingToken,
    SenderFeeToken,
    VerboseToken
} from "./tokens/OddTokens.sol";
import {ReturnsNothingToken} from "./tokens/ReturnsNothingToken.sol";

/// @notice Tokens that do not keep the standard, or that attack: handled or refused, and never at another item's cost.
contract OddTokensTest is SettlerTest {
    IRedemptionSettler.BurnStyle private constant BURN = IRedemptionSettler.BurnStyle.Burn;

    function test_returns_nothing__as_share_and_as_payout__settled() public {
        ReturnsNothingToken share = new ReturnsNothingToken();
        ReturnsNothingToken payout = new ReturnsNothingToken();
        share.mint(investor, SHARE);
        payout.mint(treasury, 100 * DOLLAR);
        _use(address(share), address(payout), BURN);
        vm.prank(treasury);
        payout.approve(address(settler), 100 * DOLLAR);
        _settleOne(_item(0));
        vm.assertEq(share.totalSupply(), 0, "burned");
        vm.assertEq(payout.balanceOf(payee), 100 * DOLLAR, "paid");
    }

    function test_returns_false__as_share__skipped() public {
        ReturnsFalseToken share = new ReturnsFalseToken();
        share.mint(investor, SHARE);
        _use(address(share), BURN);
        _check(_item(0), IRedemptionSettler.SkipReason.BurnFailed, abi.encode(false));
    }

    function test_returns_false__as_payout__skipped_and_nothing_burned() public {
        ReturnsFalseToken payout = new ReturnsFalseToken();
        payout.mint(treasury, 100 * DOLLAR);
        _use(address(shares), address(payout), BURN);
        _grantBurner();
        _check(_item(0), IRedemptionSettler.SkipReason.PayoutFailed, abi.encode(false));
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "shares untouched");
    }

    function test_fee_on_transfer__skipped_and_nothing_burned() public {
        FeeTakingToken payout = new FeeTakingToken();
        _usePayout(payout);
        _check(_item(0), IRedemptionSettler.SkipReason.PayoutNotExact, "");
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "shares untouched");
        vm.assertEq(payout.balanceOf(payee), 0, "payee");
    }

    function test_fee_from_the_sender__skipped_and_nothing_moves() public {
        SenderFeeToken payout = new SenderFeeToken();
        _usePayout(payout);
        _check(_item(0), IRedemptionSettler.SkipReason.PayoutNotExact, "");
        vm.assertEq(payout.balanceOf(treasury), 1000 * DOLLAR, "treasury");
        vm.assertEq(payout.balanceOf(payee), 0, "payee");
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "shares untouched");
    }

    function test_fee_from_the_sender__every_item_of_a_batch_skipped() public {
        SenderFeeToken payout = new SenderFeeToken();
        _usePayout(payout);
        _settle(_items(0, 3));
        for (uint256 i; i < 3; ++i) {
            vm.assertTrue(!settler.isSettled(i), "bit");
        }
        vm.assertEq(payout.balanceOf(treasury), 1000 * DOLLAR, "treasury");
    }

    function test_treasury_that_does_not_fall__skipped() public {
        SelfFillingToken payout = new SelfFillingToken();
        _usePayout(payout);
        _check(_item(0), IRedemptionSettler.SkipReason.PayoutNotExact, "");
        vm.assertEq(payout.balanceOf(payee), 0, "payee");
    }

    function test_treasury_that_cannot_be_read__skipped_with_the_words() public {
        ForgetfulToken payout = new ForgetfulToken();
        _usePayout(payout);
        payout.forget(treasury);
        bytes memory words = abi.encodeWithSignature("Error(string)", "forgotten");
        _check(_item(0), IRedemptionSettler.SkipReason.PayoutFailed, words);
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "shares untouched");
    }

    /// @dev The treasury's balance is handed from item to item: a skipped one in between must not spoil it.
    function test_treasury_balance__skips_between__the_others_are_settled() public {
        GasBurningToken payout = new GasBurningToken();
        _usePayout(payout);
        payout.setWasteful(stranger, true);
        IRedemptionSettler.Item[] memory items = _items(0, 5);
        (items[0].payee, items[2].payee, items[3].shares) = (stranger, stranger, 0);
        _settle(items);
        vm.assertTrue(settler.isSettled(1) && settler.isSettled(4), "settled");
        vm.assertEq(payout.balanceOf(treasury), 800 * DOLLAR, "treasury");
    }

    function testFuzz_fee_of_either_side__the_treasury_loses_what_the_payees_get(uint256 word) public {
        OddToken payout = word % 2 == 0 ? OddToken(new SenderFeeToken()) : OddToken(new FeeTakingToken());
        _usePayout(payout);
        IRedemptionSettler.Item[] memory items = _items(0, 1 + (word >> 8) % 4);
        for (uint256 i; i < items.length; ++i) {
            // One base unit costs no fee with either token, so some are settled and some are not.
            items[i].payout = (word >> (16 + i)) % 2 == 0 ? 1 : 1 + (word >> (32 + 8 * i)) % (100 * DOLLAR);
        }
        _settle(items);
        uint256 settled;
        for (uint256 i; i < items.length; ++i) {
            if (settler.isSettled(i)) settled += items[i].payout;
        }
        vm.assertEq(payout.balanceOf(payee), settled, "payees");
        vm.assertEq(payout.balanceOf(treasury), 1000 * DOLLAR - settled, "treasury");
    }

    function test_burn_of_too_much__skipped() public {
        FeeTakingToken share = new FeeTakingToken();
        share.mint(investor, 2 * SHARE);
        _use(address(share), BURN);
        _check(_item(0), IRedemptionSettler.SkipReason.BurnNotExact, "");
        vm.assertEq(share.balanceOf(investor), 2 * SHARE, "shares untouched");
    }

    function test_burn_from_somebody_else__skipped_though_the_supply_falls() public {
        BurnsFromAnotherShare share = new BurnsFromAnotherShare();
        share.mint(investor, SHARE);
        share.mint(stranger, SHARE);
        _use(address(share), BURN);
        _check(_item(0), IRedemptionSettler.SkipReason.BurnNotExact, "");
        vm.assertEq(share.balanceOf(stranger), SHARE, "the other's shares");
        vm.assertEq(dollars.balanceOf(payee), 0, "paid");
    }

    function test_unreadable_balance__skipped() public {
        MisbehavingShare share = new MisbehavingShare();
        share.mint(investor, SHARE);
        share.setUnreadable(true);
        _use(address(share), BURN);
        _check(
            _item(0), IRedemptionSettler.SkipReason.BurnFailed, abi.encodeWithSignature("Error(string)", "unreadable")
        );
    }

    function test_all_gas_used_up_by_payout__only_that_item_skipped() public {
        GasBurningToken payout = new GasBurningToken();
        _usePayout(payout);
        payout.setWasteful(stranger, true);
        IRedemptionSettler.Item[] memory items = _items(0, 3);
        items[1].payee = stranger;
        _expectSkip(items[1], IRedemptionSettler.SkipReason.ItemOutOfGas, "");
        _settle(items);
        vm.assertEq(payout.balanceOf(payee), 200 * DOLLAR, "the others were paid");
        vm.assertTrue(!settler.isSettled(1), "bit of the skipped item");
    }

    function test_all_gas_used_up_by_burn__only_that_item_skipped() public {
        GasBurningToken share = new GasBurningToken();
        share.mint(investor, 10 * SHARE);
        share.mint(stranger, SHARE);
        share.setWasteful(stranger, true);
        _use(address(share), BURN);
        IRedemptionSettler.Item[] memory items = _items(0, 3);
        items[0].investor = stranger;
        _expectSkip(items[0], IRedemptionSettler.SkipReason.ItemOutOfGas, "");
        _settle(items);
        vm.assertEq(dollars.balanceOf(payee), 200 * DOLLAR, "the others were paid");
    }

    function test_long_revert_data__cut_to_256_bytes() public {
        VerboseToken payout = new VerboseToken();
        _usePayout(payout);
        bytes32 word = "refused, and at length refused";
        bytes memory words = abi.encodePacked(word, word, word, word, word, word, word, word);
        _check(_item(0), IRedemptionSettler.SkipReason.PayoutFailed, words);
    }

    function test_reentry__settling_again_as_operator__refused_and_paid_once() public {
        ReentrantToken payout = new ReentrantToken();
        settler = _deploy(_settingsOf(address(shares), address(payout), BURN), owner, address(payout), guardian);
        payout.mint(treasury, 1000 * DOLLAR);
        vm.prank(treasury);
        payout.approve(address(settler), 1000 * DOLLAR);
        _grantBurner();
        IRedemptionSettler.Item[] memory items = _items(0, 1);
        bytes32 next = keccak256(abi.encode(bytes32(0), keccak256(abi.encode(items))));
        payout.setCallback(address(settler), abi.encodeCall(IRedemptionSettler.settle, (next, _items(1, 1))));
        vm.prank(address(payout));
        settler.settle(0, items);
        vm.assertTrue(payout.called() && !payout.succeeded(), "re-entry failed");
        vm.assertEq(payout.answer(), abi.encodeWithSignature("ReentrancyGuardReentrantCall()"), "by the guard");
        vm.assertEq(payout.balanceOf(payee), 100 * DOLLAR, "paid once");
        vm.assertTrue(!settler.isSettled(1), "the other was not");
    }

    function test_reentry__item_frame_and_preview__refused() public {
        ReentrantToken payout = new ReentrantToken();
        _usePayout(payout);
        payout.setCallback(
            address(settler),
            abi.encodeCall(
                IRedemptionSettler.settleOneAlone,
                (IRedemptionSettler.Frame(_item(9), 0, CEILING_PRICE, DAILY_LIMIT, 0))
            )
        );
        _settleOne(_item(0));
        vm.assertTrue(payout.called() && !payout.succeeded(), "item frame");
        payout.setCallback(address(settler), abi.encodeCall(IRedemptionSettler.preview, (_items(9, 1))));
        _settleOne(_item(1));
        vm.assertEq(payout.answer(), abi.encodeWithSignature("ReentrancyGuardReentrantCall()"), "preview");
        vm.assertEq(payout.balanceOf(payee), 200 * DOLLAR, "both paid once");
    }

    function test_reading_what_a_batch_has_not_written_yet__refused() public {
        ReentrantToken payout = new ReentrantToken();
        _usePayout(payout);
        bytes[2] memory reads =
            [abi.encodeCall(IRedemptionSettler.isSettled, (0)), abi.encodeCall(IRedemptionSettler.payoutAvailable, ())];
        for (uint256 i; i < reads.length; ++i) {
            payout.setCallback(address(settler), reads[i]);
            _settleOne(_item(i));
            vm.assertTrue(payout.called() && !payout.succeeded(), "refused");
            vm.assertEq(payout.answer(), abi.encodeWithSignature("ReentrancyGuardReentrantCall()"), "by the guard");
        }
        vm.assertTrue(settler.isSettled(0) && settler.isSettled(1), "readable again");
    }

    function _usePayout(OddToken payout) private {
        _use(address(shares), address(payout), BURN);
        _grantBurner();
        payout.mint(treasury, 1000 * DOLLAR);
        vm.prank(treasury);
        payout.approve(address(settler), 1000 * DOLLAR);
    }

    function _check(IRedemptionSettler.Item memory item, IRedemptionSettler.SkipReason reason, bytes memory detail)
        private
    {
        _expectSkip(item, reason, detail);
        _settleOne(item);
        vm.assertTrue(!settler.isSettled(item.index), "bit");
    }
}
