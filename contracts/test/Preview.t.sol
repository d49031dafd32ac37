// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice A preview says what a batch would do, changes nothing and needs neither role nor place in the order.
contract PreviewTest is SettlerTest {
    function test_preview__mixed_items__tells_each_outcome() public {
        IRedemptionSettler.Item[] memory items = _items(0, 4);
        items[1].payout = 0;
        items[2].investor = stranger;
        IRedemptionSettler.Outcome[] memory outcomes = _preview(items);
        vm.assertEq(outcomes.length, 4, "one outcome per item");
        _checkOutcome(outcomes[0], items[0], IRedemptionSettler.SkipReason.None, "");
        _checkOutcome(outcomes[1], items[1], IRedemptionSettler.SkipReason.InvalidItem, "");
        _checkOutcome(
            outcomes[2],
            items[2],
            IRedemptionSettler.SkipReason.BurnFailed,
            abi.encodeWithSignature("ERC20InsufficientBalance(address,uint256,uint256)", stranger, uint256(0), SHARE)
        );
        _checkOutcome(outcomes[3], items[3], IRedemptionSettler.SkipReason.None, "");
    }

    function test_preview__changes_nothing() public {
        _preview(_items(0, 3));
        vm.assertEq(settler.batchHash(), bytes32(0), "hash");
        vm.assertTrue(!settler.isSettled(0), "bit");
        vm.assertEq(settler.payoutAvailable(), DAILY_LIMIT, "limit");
        vm.assertEq(dollars.balanceOf(payee), 0, "paid");
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "burned");
    }

    function test_preview__duplicate_and_limit_within_the_batch__seen() public {
        IRedemptionSettler.Item[] memory items = _items(0, 3);
        items[0] = _item(0, 10_000 * SHARE, DAILY_LIMIT);
        items[2].index = 0;
        IRedemptionSettler.Outcome[] memory outcomes = _preview(items);
        _checkOutcome(outcomes[1], items[1], IRedemptionSettler.SkipReason.DailyLimitExceeded, "");
        _checkOutcome(outcomes[2], items[2], IRedemptionSettler.SkipReason.AlreadySettled, "");
    }

    function test_preview__paused__refused_as_settling_would_be() public {
        vm.prank(guardian);
        settler.pause();
        vm.expectRevert(abi.encodeWithSelector(ISettlerControls.SettlerPaused.selector));
        settler.preview(_items(0, 1));
    }

    function test_preview__empty__refused() public {
        vm.expectRevert(abi.encodeWithSelector(IRedemptionSettler.EmptyBatch.selector));
        settler.preview(new IRedemptionSettler.Item[](0));
    }

    function test_preview__gas__covers_settling() public {
        IRedemptionSettler.Item[] memory items = _items(0, 20);
        IRedemptionSettler.Outcome[] memory outcomes = _preview(items);
        uint256 total;
        for (uint256 i; i < outcomes.length; ++i) {
            total += outcomes[i].gasUsed;
        }
        uint256 gasBefore = gasleft();
        _settle(items);
        uint256 used = gasBefore - gasleft();
        // Slots may be warm here; what a preview finds is never far below what settling takes without its fixed cost.
        vm.assertLe(used, total + 200_000, "gas of settling");
    }

    function testFuzz_preview__any_items__agrees_with_settling(uint256 seed) public {
        IRedemptionSettler.Item[] memory items = new IRedemptionSettler.Item[](6);
        for (uint256 i; i < items.length; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            items[i] = _item(word % 8, ((word >> 8) % 9000) * SHARE, ((word >> 32) % 600_000) * DOLLAR);
            if ((word >> 64) % 7 == 0) items[i].investor = stranger;
            if ((word >> 72) % 7 == 0) items[i].payee = treasury;
        }
        IRedemptionSettler.Outcome[] memory outcomes = _preview(items);
        uint256 expected;
        for (uint256 i; i < items.length; ++i) {
            if (outcomes[i].reason == IRedemptionSettler.SkipReason.None) expected += items[i].payout;
            else _expectSkip(items[i], outcomes[i].reason, outcomes[i].detail);
        }
        _settle(items);
        vm.assertEq(dollars.balanceOf(payee), expected, "paid as previewed");
    }

    function _checkOutcome(
        IRedemptionSettler.Outcome memory outcome,
        IRedemptionSettler.Item memory item,
        IRedemptionSettler.SkipReason reason,
        bytes memory detail
    ) private pure {
        vm.assertEq(outcome.redemptionId, item.redemptionId, "id");
        vm.assertEq(uint256(outcome.reason), uint256(reason), "reason");
        vm.assertEq(outcome.detail, detail, "detail");
        vm.assertTrue(outcome.gasUsed > 0, "gas");
    }
}
