// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice Every reason for which an item is left out while its batch goes on.
contract SkipsTest is SettlerTest {
    function test_skip__index_settled_before() public {
        _settleOne(_item(5));
        _check(_item(5), IRedemptionSettler.SkipReason.AlreadySettled, "");
        vm.assertEq(dollars.balanceOf(payee), 100 * DOLLAR, "paid once");
    }

    function test_skip__index_twice_in_one_batch() public {
        IRedemptionSettler.Item[] memory items = _items(5, 2);
        items[1].index = 5;
        _expectSkip(items[1], IRedemptionSettler.SkipReason.AlreadySettled, "");
        _settle(items);
        vm.assertEq(dollars.balanceOf(payee), 100 * DOLLAR, "paid once");
    }

    function test_skip__settled_index_comes_before_other_reasons() public {
        _settleOne(_item(5));
        _check(_item(5, 0, 0), IRedemptionSettler.SkipReason.AlreadySettled, "");
    }

    function test_skip__zero_and_oversized_amounts() public {
        IRedemptionSettler.SkipReason invalid = IRedemptionSettler.SkipReason.InvalidItem;
        _check(_item(1, 0, DOLLAR), invalid, "");
        _check(_item(1, SHARE, 0), invalid, "");
        _check(_item(1, 1 << 128, DOLLAR), invalid, "");
        _check(_item(1, SHARE, 1 << 128), invalid, "");
        _check(_item(1, type(uint256).max, type(uint256).max), invalid, "");
    }

    function test_skip__largest_amounts_are_not_invalid() public {
        uint256 largest = type(uint128).max;
        _check(_item(1, SHARE, largest), IRedemptionSettler.SkipReason.PriceAboveCeiling, "");
        bytes memory words = abi.encodeWithSignature(
            "ERC20InsufficientBalance(address,uint256,uint256)", investor, shares.balanceOf(investor), largest
        );
        _check(_item(1, largest, DOLLAR), IRedemptionSettler.SkipReason.BurnFailed, words);
    }

    function test_skip__accounts_that_cannot_be() public {
        address[4] memory noPayees = [address(0), address(settler), treasury, address(0)];
        for (uint256 i; i < 3; ++i) {
            IRedemptionSettler.Item memory item = _item(1);
            item.payee = noPayees[i];
            _check(item, IRedemptionSettler.SkipReason.InvalidItem, "");
        }
        IRedemptionSettler.Item memory nobody = _item(1);
        nobody.investor = address(0);
        _check(nobody, IRedemptionSettler.SkipReason.InvalidItem, "");
        nobody.investor = address(settler);
        _check(nobody, IRedemptionSettler.SkipReason.InvalidItem, "");
    }

    function test_skip__accounts_that_are_a_token() public {
        address[2] memory tokens = [address(shares), address(dollars)];
        for (uint256 i; i < tokens.length; ++i) {
            IRedemptionSettler.Item memory paid = _item(1);
            paid.payee = tokens[i];
            _check(paid, IRedemptionSettler.SkipReason.InvalidItem, "");
            _issue(tokens[i], SHARE);
            IRedemptionSettler.Item memory burned = _item(1);
            burned.investor = tokens[i];
            _check(burned, IRedemptionSettler.SkipReason.InvalidItem, "");
        }
    }

    function test_skip__one_account_that_cannot_be__as_investor_and_payee() public {
        address[5] memory accounts = [address(0), address(settler), treasury, address(shares), address(dollars)];
        for (uint256 i; i < accounts.length; ++i) {
            if (accounts[i] != address(0)) _issue(accounts[i], SHARE);
            IRedemptionSettler.Item memory item = _item(1);
            (item.investor, item.payee) = (accounts[i], accounts[i]);
            _check(item, IRedemptionSettler.SkipReason.InvalidItem, "");
        }
    }

    function test_skip__index_too_far() public {
        _check(_item(1 << 62), IRedemptionSettler.SkipReason.InvalidItem, "");
        _check(_item(type(uint256).max), IRedemptionSettler.SkipReason.InvalidItem, "");
        _settleOne(_item((1 << 62) - 1));
        vm.assertTrue(settler.isSettled((1 << 62) - 1), "the last one there is");
    }

    function testFuzz_skip__index__settled_exactly_when_within_62_bits(uint256 index, uint8 shift) public {
        index >>= shift;
        _settleOne(_item(index));
        vm.assertTrue(settler.isSettled(index) == (index < 1 << 62), "settled");
    }

    function test_skip__address_wider_than_160_bits() public {
        IRedemptionSettler.Item[] memory items = _items(0, 2);
        bytes memory data = abi.encodeCall(IRedemptionSettler.settle, (bytes32(0), items));
        // The payee of the first item: selector, hash, offset, length, then its fourth word.
        data[4 + 3 * 32 + 3 * 32] = 0x01;
        _expectSkip(items[0], IRedemptionSettler.SkipReason.InvalidItem, "");
        vm.prank(operator);
        (bool succeeded,) = address(settler).call(data);
        vm.assertTrue(succeeded, "the batch goes on");
        vm.assertTrue(!settler.isSettled(0) && settler.isSettled(1), "the other item settled");
    }

    function test_skip__price_one_unit_above_ceiling() public {
        _check(_item(1, SHARE, CEILING_PRICE + 1), IRedemptionSettler.SkipReason.PriceAboveCeiling, "");
        _check(_item(1, SHARE - 1, CEILING_PRICE), IRedemptionSettler.SkipReason.PriceAboveCeiling, "");
        _settleOne(_item(1, SHARE, CEILING_PRICE));
        vm.assertTrue(settler.isSettled(1), "at the ceiling");
    }

    function test_skip__price_one_unit_below_floor() public {
        _raiseFloor(90 * DOLLAR);
        _check(_item(1, SHARE, 90 * DOLLAR - 1), IRedemptionSettler.SkipReason.PriceBelowFloor, "");
        _check(_item(1, 2 * SHARE, 180 * DOLLAR - 1), IRedemptionSettler.SkipReason.PriceBelowFloor, "");
        _settleOne(_item(1, SHARE, 90 * DOLLAR));
        vm.assertTrue(settler.isSettled(1), "at the floor");
    }

    /// @dev What is paid is rounded down, so the least payout is too: a price at the floor is never refused for it.
    function test_skip__least_payout_is_rounded_down() public {
        _raiseFloor(90 * DOLLAR);
        _settleOne(_item(1, SHARE - 1, 90 * DOLLAR - 1));
        _settleOne(_item(2, SHARE + SHARE / 7, 90 * DOLLAR + 90 * DOLLAR / 7));
        vm.assertTrue(settler.isSettled(1) && settler.isSettled(2), "rounded down");
        _check(_item(3, SHARE - 1, 90 * DOLLAR - 2), IRedemptionSettler.SkipReason.PriceBelowFloor, "");
    }

    function test_skip__no_floor__any_payout_but_nothing() public {
        _settleOne(_item(1, 1000 * SHARE, 1));
        vm.assertTrue(settler.isSettled(1), "settled");
    }

    function test_skip__floor_and_largest_amounts__no_overflow() public {
        uint256 largest = type(uint128).max;
        IRedemptionSettler.Settings memory settings = _settings();
        (settings.floorPrice, settings.ceilingPrice) = (largest, largest);
        settings.dailyPayoutLimit = largest;
        settler = _deploy(settings);
        _check(_item(1, largest, largest), IRedemptionSettler.SkipReason.PriceBelowFloor, "");
        _check(_item(1, 1, largest), IRedemptionSettler.SkipReason.PriceAboveCeiling, "");
    }

    function testFuzz_price__settled_exactly_when_within_the_band(uint256 floor, uint256 shares_, uint256 payout)
        public
    {
        floor %= CEILING_PRICE + 1;
        shares_ = 1 + shares_ % (1000 * SHARE);
        payout = 1 + payout % (shares_ * CEILING_PRICE / SHARE + 2);
        if (floor != 0) _raiseFloor(floor);
        _settleOne(_item(1, shares_, payout));
        bool within = payout >= shares_ * floor / SHARE && payout * SHARE <= shares_ * CEILING_PRICE;
        vm.assertTrue(settler.isSettled(1) == within, "settled");
    }

    function test_skip__over_daily_limit() public {
        uint256 shares_ = 10_000 * SHARE;
        _settleOne(_item(1, shares_, DAILY_LIMIT - 100 * DOLLAR));
        _check(_item(2, SHARE, 100 * DOLLAR + 1), IRedemptionSettler.SkipReason.DailyLimitExceeded, "");
        _settleOne(_item(3));
        vm.assertTrue(settler.isSettled(3), "a smaller one still fits");
        vm.assertEq(settler.payoutAvailable(), 0, "nothing left");
    }

    function test_skip__holder_no_longer_permitted() public {
        shares.setPermitted(investor, false);
        bytes memory words = abi.encodeWithSignature("HolderNotPermitted(address)", investor);
        _check(_item(1), IRedemptionSettler.SkipReason.BurnFailed, words);
    }

    function test_skip__too_few_shares() public {
        uint256 held = shares.balanceOf(investor);
        bytes memory words =
            abi.encodeWithSignature("ERC20InsufficientBalance(address,uint256,uint256)", investor, held, held + 1);
        _check(_item(1, held + 1, DOLLAR), IRedemptionSettler.SkipReason.BurnFailed, words);
    }

    function test_skip__share_token_paused() public {
        shares.pause();
        _check(_item(1), IRedemptionSettler.SkipReason.BurnFailed, abi.encodeWithSignature("EnforcedPause()"));
    }

    function test_skip__payee_blocked__nothing_burned() public {
        dollars.setBlocked(payee, true);
        bytes memory words = abi.encodeWithSignature("AccountBlocked(address)", payee);
        _check(_item(1), IRedemptionSettler.SkipReason.PayoutFailed, words);
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "shares untouched");
    }

    function test_skip__treasury_blocked__nothing_burned() public {
        dollars.setBlocked(treasury, true);
        bytes memory words = abi.encodeWithSignature("AccountBlocked(address)", treasury);
        _check(_item(1), IRedemptionSettler.SkipReason.PayoutFailed, words);
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "shares untouched");
    }

    function test_skip__stablecoin_paused__nothing_burned() public {
        dollars.pause();
        _check(_item(1), IRedemptionSettler.SkipReason.PayoutFailed, abi.encodeWithSignature("EnforcedPause()"));
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "shares untouched");
    }

    function test_skip__allowance_short() public {
        vm.prank(treasury);
        dollars.approve(address(settler), 99 * DOLLAR);
        bytes memory words = abi.encodeWithSignature(
            "ERC20InsufficientAllowance(address,uint256,uint256)", address(settler), 99 * DOLLAR, 100 * DOLLAR
        );
        _check(_item(1), IRedemptionSettler.SkipReason.PayoutFailed, words);
    }

    function test_skip__treasury_short__smaller_item_behind_is_paid() public {
        uint256 held = dollars.balanceOf(treasury);
        vm.prank(treasury);
        dollars.transfer(stranger, held - 50 * DOLLAR);
        IRedemptionSettler.Item[] memory items = _items(0, 2);
        items[1].payout = 50 * DOLLAR;
        _settle(items);
        vm.assertTrue(!settler.isSettled(0) && settler.isSettled(1), "no jam at the head");
    }

    function _raiseFloor(uint256 price) private {
        vm.prank(owner);
        settler.narrowBound(ISettlerControls.Bound.FloorPrice, price);
    }

    /// @dev Sends the item alone: it is skipped for this reason, and nothing moves.
    function _check(IRedemptionSettler.Item memory item, IRedemptionSettler.SkipReason reason, bytes memory detail)
        private
    {
        uint256 supply = shares.totalSupply();
        uint256 held = dollars.balanceOf(treasury);
        bool settledBefore = settler.isSettled(item.index);
        _expectSkip(item, reason, detail);
        _settleOne(item);
        vm.assertEq(shares.totalSupply(), supply, "supply");
        vm.assertEq(dollars.balanceOf(treasury), held, "treasury");
        vm.assertTrue(settler.isSettled(item.index) == settledBefore, "bit");
    }
}
