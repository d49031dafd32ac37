// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {SettlerTest} from "./SettlerTest.sol";
import {GasBurningToken} from "./tokens/OddTokens.sol";

/// @notice However much gas a transaction brings, a batch is settled as it would be with all the gas in the world, or
/// not at all.
contract GasSafetyTest is SettlerTest {
    /// @dev itemGasLimit, its 63rd part and the tail.
    uint256 private constant NEEDED = ITEM_GAS_LIMIT + ITEM_GAS_LIMIT / 63 + 80_000;

    function test_gas__too_low_for_the_first_item__says_so() public {
        (bool succeeded, bytes memory answer) = _settleWith(NEEDED, _items(0, 1));
        vm.assertTrue(!succeeded, "refused");
        _checkGasTooLow(answer);
        (uint256 available, uint256 needed) = abi.decode(_withoutSelector(answer), (uint256, uint256));
        vm.assertEq(needed, NEEDED, "needed");
        vm.assertLe(available, NEEDED - 1, "available");
    }

    function test_gas__too_low_for_a_later_item__nothing_settled() public {
        (bool succeeded, bytes memory answer) = _settleWith(NEEDED + 150_000, _items(0, 10));
        vm.assertTrue(!succeeded, "refused");
        _checkGasTooLow(answer);
        vm.assertEq(dollars.balanceOf(payee), 0, "paid");
        vm.assertEq(settler.batchHash(), bytes32(0), "hash");
    }

    /// @dev The tightest case: the last item uses its whole gas limit up, and the ledger's slots are new.
    function test_gas__from_too_little_to_enough__no_failure_in_between() public {
        IRedemptionSettler.Item[] memory items = _wastefulItems(2);
        uint256 refusals;
        for (uint256 gasGiven = 200_000;; gasGiven += 1_000) {
            (bool succeeded, bytes memory answer) = _settleWith(gasGiven, items);
            if (succeeded) break;
            _checkGasTooLow(answer);
            ++refusals;
        }
        vm.assertTrue(refusals > 100, "both sides of the edge were met");
        vm.assertTrue(settler.isSettled(0) && !settler.isSettled(1), "settled as with all the gas in the world");
    }

    /// @dev The same with a bitmap word written between the items as well as after them.
    function test_gas__from_too_little_to_enough__every_item_in_a_new_word() public {
        IRedemptionSettler.Item[] memory items = _wastefulItems(4);
        for (uint256 i; i < items.length; ++i) {
            items[i].index = i << 8;
        }
        uint256 refusals;
        for (uint256 gasGiven = 200_000;; gasGiven += 1_000) {
            (bool succeeded, bytes memory answer) = _settleWith(gasGiven, items);
            if (succeeded) break;
            _checkGasTooLow(answer);
            ++refusals;
        }
        vm.assertTrue(refusals > 100, "both sides of the edge were met");
        for (uint256 i; i < items.length; ++i) {
            vm.assertTrue(settler.isSettled(items[i].index) == (i % 2 == 0), "bit");
        }
    }

    function testFuzz_gas__any_amount__good_items_are_all_settled_or_none(uint256 gasGiven, uint8 count) public {
        uint256 length = 1 + count % 12;
        gasGiven = 21_000 + gasGiven % 1_200_000;
        (bool succeeded, bytes memory answer) = _settleWith(gasGiven, _items(0, length));
        // From where the first check is reached, a batch that fails says why.
        if (!succeeded && gasGiven > 150_000) _checkGasTooLow(answer);
        vm.assertEq(dollars.balanceOf(payee), succeeded ? length * 100 * DOLLAR : 0, "paid");
        vm.assertTrue((settler.batchHash() != 0) == succeeded, "hash");
        for (uint256 i; i < length; ++i) {
            vm.assertTrue(settler.isSettled(i) == succeeded, "bit");
        }
    }

    function testFuzz_gas__wasteful_token__other_items_are_all_settled_or_none(uint256 gasGiven) public {
        IRedemptionSettler.Item[] memory items = _wastefulItems(5);
        (bool succeeded,) = _settleWith(21_000 + gasGiven % 2_000_000, items);
        vm.assertEq(shares.balanceOf(investor), (1_000_000 - (succeeded ? 3 : 0)) * SHARE, "burned");
        vm.assertTrue(settler.isSettled(0) == succeeded && !settler.isSettled(1), "bits");
    }

    /// @dev Every second item is for a payee with whom the payout token uses all gas up.
    function _wastefulItems(uint256 count) private returns (IRedemptionSettler.Item[] memory items) {
        GasBurningToken payout = new GasBurningToken();
        _use(address(shares), address(payout), IRedemptionSettler.BurnStyle.Burn);
        _grantBurner();
        payout.mint(treasury, 1000 * DOLLAR);
        payout.setWasteful(stranger, true);
        vm.prank(treasury);
        payout.approve(address(settler), 1000 * DOLLAR);
        items = _items(0, count);
        for (uint256 i = 1; i < count; i += 2) {
            items[i].payee = stranger;
        }
    }

    function _checkGasTooLow(bytes memory answer) private pure {
        vm.assertEq(bytes32(bytes4(answer)), bytes32(IRedemptionSettler.GasTooLow.selector), "error");
    }

    function _settleWith(uint256 gasGiven, IRedemptionSettler.Item[] memory items)
        private
        returns (bool succeeded, bytes memory answer)
    {
        bytes memory data = abi.encodeCall(IRedemptionSettler.settle, (bytes32(0), items));
        vm.prank(operator);
        return address(settler).call{gas: gasGiven}(data);
    }
}
