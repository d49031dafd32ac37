// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SettlementHandler} from "./SettlementHandler.sol";
import {Vm} from "./Vm.sol";

/// @notice What holds after any history of batches, faults, changes and waiting.
contract InvariantsTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    SettlementHandler private _handler;

    function setUp() public {
        _handler = new SettlementHandler();
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = SettlementHandler.settleBatch.selector;
        // Settling is what all the rest is there for, so it comes up most.
        selectors[1] = SettlementHandler.settleBatch.selector;
        selectors[2] = SettlementHandler.settleBatch.selector;
        selectors[3] = SettlementHandler.settleOnForgottenHash.selector;
        selectors[4] = SettlementHandler.settleAsStranger.selector;
        selectors[5] = SettlementHandler.previewBatch.selector;
        selectors[6] = SettlementHandler.changeTokens.selector;
        selectors[7] = SettlementHandler.passTime.selector;
        selectors[8] = SettlementHandler.moveLimit.selector;
        selectors[9] = SettlementHandler.pauseOrUnpause.selector;
        selectors[10] = SettlementHandler.permitOrNot.selector;
        selectors[11] = SettlementHandler.moveBand.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_handler), selectors);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_paid_once() public view {
        vm.assertEq(_handler.paidToPayees(), _handler.expectedPaid(), "payees hold what the bits say was paid");
        vm.assertEq(_handler.bitsCleared(), 0, "a settled index stays settled");
    }

    function invariant_treasury_loses_what_payees_get() public view {
        vm.assertEq(_handler.paidByTreasury(), _handler.expectedPaid(), "out of the treasury");
    }

    function invariant_every_price_paid_was_within_the_band() public view {
        vm.assertEq(_handler.pricesOutsideTheBandPaid(), 0, "prices outside the band");
        vm.assertEq(_handler.bandsCrossed(), 0, "floors above their ceiling");
    }

    function invariant_burned_exactly_when_paid() public view {
        vm.assertEq(_handler.burnedFromInvestors(), _handler.expectedBurned(), "shares of the paid redemptions");
    }

    function invariant_never_more_than_the_allowance() public view {
        vm.assertEq(
            _handler.paidToPayees() + _handler.allowanceLeft(), _handler.allowanceAtFirst(), "paid out of the allowance"
        );
    }

    function invariant_never_more_than_the_limit_in_a_day() public view {
        vm.assertEq(_handler.dayLimitsExceeded(), 0, "days over the limit");
    }

    function invariant_one_history() public view {
        vm.assertEq(_handler.batchHash(), _handler.expectedHash(), "hash");
        vm.assertEq(_handler.forksAccepted(), 0, "batches that did not follow");
    }

    function invariant_settler_holds_nothing() public view {
        vm.assertEq(_handler.tokensInSettler(), 0, "tokens in the settler");
    }

    function invariant_nobody_paid_who_was_not_permitted() public view {
        vm.assertEq(_handler.payeesNotPermittedPaid(), 0, "payees paid without permission");
    }

    function invariant_preview_changes_nothing() public view {
        vm.assertEq(_handler.previewsThatChanged(), 0, "previews that changed something");
    }

    /// @dev Not an invariant: shows that such histories do settle, skip and pay.
    function test_handler__long_history__reaches_settling_and_skipping() public {
        for (uint256 i; i < 60; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            if (i % 9 == 5) _handler.changeTokens(seed);
            if (i % 3 == 2) _handler.passTime(seed);
            if (i % 7 == 4) _handler.permitOrNot(seed);
            if (i % 11 == 8) _handler.moveBand(seed);
            if (i % 4 == 3) _handler.settleOnForgottenHash(seed);
            _handler.settleBatch(seed);
        }
        vm.assertTrue(_handler.settledCount() > 20, "settled");
        vm.assertTrue(_handler.skippedCount() > 20, "skipped");
        invariant_paid_once();
        invariant_burned_exactly_when_paid();
        invariant_never_more_than_the_allowance();
        invariant_never_more_than_the_limit_in_a_day();
        invariant_one_history();
        invariant_treasury_loses_what_payees_get();
        invariant_every_price_paid_was_within_the_band();
        invariant_nobody_paid_who_was_not_permitted();
    }
}
