// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice What one redemption costs in a batch of 100, as a transaction of its own pays it: 21,000 to begin with, the
/// calldata, every slot cold, and the refund taken off at the end.
/// forge-config: default.isolate = true
contract GasTest is SettlerTest {
    uint256 private constant BATCH = 100;
    /// @dev The bounds the project has set itself, 26,000 and 43,000, with the 925 that the check of the treasury's balance
    /// costs. They hold without the 4,800 gas that the chain gives back for a balance that becomes zero, so whether shares
    /// remain or not.
    uint256 private constant HELD_GAS_MAX = 26_925;
    uint256 private constant FIRST_GAS_MAX = 43_925;

    event log_named_uint(string what, uint256 value);

    function setUp() public override {
        super.setUp();
        // The stricter settler, as `deploy` makes it. The payee is the investor, which takes no slot to find permitted.
        _useRestricted();
        vm.prank(investor);
        settler.permitPayee(payee, true);
        // A settler in use: its ledger, its hash and its first bitmap word are not new.
        _settle(_items(0, 1));
    }

    function test_gas__all_shares_redeemed__payees_hold_the_stablecoin() public {
        uint256 gasPerItem = _gasPerItem({holders: true, sharesLeft: 0});
        emit log_named_uint("gas per redemption, all shares, payee holds the stablecoin", gasPerItem);
        vm.assertLe(gasPerItem, HELD_GAS_MAX, "gas per redemption");
    }

    function test_gas__all_shares_redeemed__first_time_payees() public {
        uint256 gasPerItem = _gasPerItem({holders: false, sharesLeft: 0});
        emit log_named_uint("gas per redemption, all shares, first-time payee", gasPerItem);
        vm.assertLe(gasPerItem, FIRST_GAS_MAX, "gas per redemption");
    }

    function test_gas__part_of_the_shares_redeemed__payees_hold_the_stablecoin() public {
        uint256 gasPerItem = _gasPerItem({holders: true, sharesLeft: SHARE});
        emit log_named_uint("gas per redemption, part of the shares, payee holds the stablecoin", gasPerItem);
        vm.assertLe(gasPerItem, HELD_GAS_MAX, "gas per redemption");
    }

    function test_gas__part_of_the_shares_redeemed__first_time_payees() public {
        uint256 gasPerItem = _gasPerItem({holders: false, sharesLeft: SHARE});
        emit log_named_uint("gas per redemption, part of the shares, first-time payee", gasPerItem);
        vm.assertLe(gasPerItem, FIRST_GAS_MAX, "gas per redemption");
    }

    function _gasPerItem(bool holders, uint256 sharesLeft) private returns (uint256) {
        IRedemptionSettler.Item[] memory items = new IRedemptionSettler.Item[](BATCH);
        for (uint256 i; i < BATCH; ++i) {
            // Amounts with all their digits, as real orders have, so that the calldata costs what it costs.
            IRedemptionSettler.Item memory item = _item(1 + i, 12_345_678_901_234_567_891, 1_234_567_891);
            item.investor = _holder(1 + i);
            item.payee = item.investor;
            items[i] = item;
            _issue(item.investor, item.shares + sharesLeft);
            if (holders) dollars.mint(item.payee, DOLLAR);
        }
        bytes32 previous = settler.batchHash();
        vm.prank(operator);
        settler.settle(previous, items);
        uint256 gasUsed = vm.lastCallGas().gasTotalUsed;
        for (uint256 i; i < BATCH; ++i) {
            vm.assertTrue(settler.isSettled(1 + i), "settled");
        }
        return gasUsed / BATCH;
    }

    function _holder(uint256 index) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("holder", index)))));
    }
}
