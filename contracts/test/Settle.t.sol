// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice Settling: what moves, what is said, and the order batches must keep.
contract SettleTest is SettlerTest {
    function test_settle__one_item__burns_and_pays() public {
        uint256 treasuryBefore = dollars.balanceOf(treasury);
        uint256 supplyBefore = shares.totalSupply();
        _settleOne(_item(7));
        vm.assertEq(shares.balanceOf(investor), 999_999 * SHARE, "investor's shares");
        vm.assertEq(shares.totalSupply(), supplyBefore - SHARE, "supply");
        vm.assertEq(dollars.balanceOf(payee), 100 * DOLLAR, "payee's dollars");
        vm.assertEq(dollars.balanceOf(treasury), treasuryBefore - 100 * DOLLAR, "treasury's dollars");
        vm.assertTrue(settler.isSettled(7), "settled");
        vm.assertTrue(!settler.isSettled(6) && !settler.isSettled(8), "neighbours untouched");
    }

    function test_settle__one_item__tells_what_happened() public {
        IRedemptionSettler.Item memory item = _item(7);
        bytes32 next = _following(0, _one(item));
        vm.expectEmit(address(settler));
        emit IRedemptionSettler.RedemptionSettled(item.redemptionId, investor, payee, 7, SHARE, 100 * DOLLAR);
        vm.expectEmit(address(settler));
        emit IRedemptionSettler.BatchSettled(next, 0, 1, 0);
        vm.prank(operator);
        vm.assertEq(settler.settle(0, _one(item)), next, "returned hash");
    }

    function test_settle__bad_item_between_good__skipped_alone() public {
        IRedemptionSettler.Item[] memory items = _items(0, 3);
        items[1].investor = stranger;
        bytes memory words =
            abi.encodeWithSignature("ERC20InsufficientBalance(address,uint256,uint256)", stranger, uint256(0), SHARE);
        _expectSkip(items[1], IRedemptionSettler.SkipReason.BurnFailed, words);
        bytes32 next = _following(0, items);
        vm.expectEmit(address(settler));
        emit IRedemptionSettler.BatchSettled(next, 0, 2, 1);
        _settle(items);
        vm.assertEq(dollars.balanceOf(payee), 200 * DOLLAR, "two were paid");
        vm.assertTrue(settler.isSettled(0) && !settler.isSettled(1) && settler.isSettled(2), "bits");
    }

    function test_settle__all_items_skipped__ratchet_advances() public {
        IRedemptionSettler.Item[] memory items = _one(_item(0, SHARE, 0));
        vm.assertEq(_settle(items), _following(0, items), "hash");
        vm.assertEq(settler.batchHash(), _following(0, items), "stored hash");
    }

    function test_settle__skipped_item__can_be_sent_again() public {
        dollars.setBlocked(payee, true);
        _settleOne(_item(3));
        dollars.setBlocked(payee, false);
        _settleOne(_item(3));
        vm.assertTrue(settler.isSettled(3), "settled on the second try");
        vm.assertEq(dollars.balanceOf(payee), 100 * DOLLAR, "paid once");
    }

    function test_settle__batch_of_unknown_past__refused() public {
        bytes32 wrong = keccak256("another history");
        vm.expectRevert(abi.encodeWithSelector(IRedemptionSettler.BatchHashMismatch.selector, bytes32(0), wrong));
        vm.prank(operator);
        settler.settle(wrong, _items(0, 1));
    }

    function test_settle__same_batch_twice__refused() public {
        IRedemptionSettler.Item[] memory items = _items(0, 2);
        bytes32 next = _settle(items);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionSettler.BatchHashMismatch.selector, next, bytes32(0)));
        vm.prank(operator);
        settler.settle(0, items);
    }

    function test_settle__chain_of_batches__hashes_known_beforehand() public {
        bytes32 first = _following(0, _items(0, 2));
        bytes32 second = _following(first, _items(2, 3));
        vm.prank(operator);
        settler.settle(0, _items(0, 2));
        vm.prank(operator);
        vm.assertEq(settler.settle(first, _items(2, 3)), second, "second hash");
    }

    function test_settle__empty_batch__refused() public {
        vm.expectRevert(abi.encodeWithSelector(IRedemptionSettler.EmptyBatch.selector));
        vm.prank(operator);
        settler.settle(0, new IRedemptionSettler.Item[](0));
    }

    function test_settle__caller_not_operator__refused() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlerControls.NotOperator.selector, owner));
        vm.prank(owner);
        settler.settle(0, _items(0, 1));
    }

    function test_settle__paused__refused() public {
        vm.prank(guardian);
        settler.pause();
        vm.expectRevert(abi.encodeWithSelector(ISettlerControls.SettlerPaused.selector));
        vm.prank(operator);
        settler.settle(0, _items(0, 1));
    }

    function test_settle__two_redemptions_of_one_investor__both_settled() public {
        _settle(_items(254, 4));
        vm.assertEq(dollars.balanceOf(payee), 400 * DOLLAR, "paid over a word's edge");
        for (uint256 i = 254; i < 258; ++i) {
            vm.assertTrue(settler.isSettled(i), "bit");
        }
    }

    function test_settle__to_and_fro_over_the_edge_of_a_word__each_index_once() public {
        uint256[7] memory indexes = [uint256(255), 256, 255, 0, 256, 511, 512];
        IRedemptionSettler.Item[] memory items = _items(0, indexes.length);
        for (uint256 i; i < items.length; ++i) {
            items[i].index = indexes[i];
        }
        bytes32 next = _following(0, items);
        vm.expectEmit(address(settler));
        emit IRedemptionSettler.RedemptionSkipped(
            items[2].redemptionId, 255, IRedemptionSettler.SkipReason.AlreadySettled, ""
        );
        vm.expectEmit(address(settler));
        emit IRedemptionSettler.RedemptionSkipped(
            items[4].redemptionId, 256, IRedemptionSettler.SkipReason.AlreadySettled, ""
        );
        vm.expectEmit(address(settler));
        emit IRedemptionSettler.BatchSettled(next, 0, 5, 2);
        _settle(items);
        vm.assertEq(dollars.balanceOf(payee), 500 * DOLLAR, "paid once each");
        for (uint256 index; index < 600; ++index) {
            bool inBatch = index == 0 || index == 255 || index == 256 || index == 511 || index == 512;
            vm.assertTrue(settler.isSettled(index) == inBatch, "bit");
        }
    }

    function test_settle__index_skipped_and_then_good_in_one_batch__settled_once() public {
        IRedemptionSettler.Item[] memory items = _items(7, 3);
        items[0].payout = 0;
        items[1].index = 7;
        items[2].index = 7;
        _settle(items);
        vm.assertTrue(settler.isSettled(7), "bit");
        vm.assertEq(dollars.balanceOf(payee), 100 * DOLLAR, "paid once");
    }

    function testFuzz_settle__any_indexes_in_any_order__each_once(uint256 seed) public {
        IRedemptionSettler.Item[] memory items = _items(0, 12);
        uint256 expected;
        for (uint256 i; i < items.length; ++i) {
            // Few enough that some come twice, over three words of the bitmap.
            items[i].index = uint256(keccak256(abi.encode(seed, i))) % 9 * 75;
            bool repeated;
            for (uint256 j; j < i; ++j) {
                repeated = repeated || items[j].index == items[i].index;
            }
            if (!repeated) expected += items[i].payout;
        }
        _settle(items);
        vm.assertEq(dollars.balanceOf(payee), expected, "paid once each");
        for (uint256 i; i < items.length; ++i) {
            vm.assertTrue(settler.isSettled(items[i].index), "bit");
        }
    }

    function test_settleItem__called_by_anyone__refused() public {
        vm.expectRevert(abi.encodeWithSelector(IRedemptionSettler.NotSelf.selector, operator));
        vm.prank(operator);
        settler.settleOneAlone(IRedemptionSettler.Frame(_item(0), 0, CEILING_PRICE, DAILY_LIMIT, 0));
    }

    function testFuzz_settle__any_hash_and_items__follow_the_stated_formula(uint256 seed, uint8 count) public {
        IRedemptionSettler.Item[] memory items = new IRedemptionSettler.Item[](1 + count % 8);
        for (uint256 i; i < items.length; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            items[i] = IRedemptionSettler.Item(
                bytes32(word), word % 1000, investor, payee, (word % 5) * SHARE, (word % 600) * DOLLAR
            );
        }
        vm.assertEq(_settle(items), _following(0, items), "hash");
    }

    function testFuzz_settle__any_amounts__both_or_neither(uint256 shares_, uint256 payout, uint256 index) public {
        // Half the runs stay near what can be settled, the rest may be anything.
        if (shares_ % 2 == 0) (shares_, payout) = (shares_ % (2_000_000 * SHARE), payout % (2 * DAILY_LIMIT));
        uint256 sharesBefore = shares.balanceOf(investor);
        _settleOne(_item(index, shares_, payout));
        uint256 burned = sharesBefore - shares.balanceOf(investor);
        uint256 paid = dollars.balanceOf(payee);
        bool settled = settler.isSettled(index);
        vm.assertEq(burned, settled ? shares_ : 0, "burned");
        vm.assertEq(paid, settled ? payout : 0, "paid");
        if (settled) vm.assertTrue(payout * SHARE <= shares_ * CEILING_PRICE, "price");
    }

    function _following(bytes32 previous, IRedemptionSettler.Item[] memory items) private pure returns (bytes32) {
        return keccak256(abi.encode(previous, keccak256(abi.encode(items))));
    }
}
