// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice What a settler can be deployed with.
contract DeploymentTest is SettlerTest {
    function test_deploy__settings__can_be_read() public view {
        vm.assertEq(settler.shareToken(), address(shares), "share token");
        vm.assertEq(settler.payoutToken(), address(dollars), "payout token");
        vm.assertEq(settler.treasury(), treasury, "treasury");
        vm.assertEq(uint256(settler.burnStyle()), 0, "burn style");
        vm.assertEq(settler.dailyPayoutLimit(), DAILY_LIMIT, "daily limit");
        vm.assertEq(settler.floorPrice(), 0, "floor price");
        vm.assertEq(settler.ceilingPrice(), CEILING_PRICE, "ceiling price");
        vm.assertEq(settler.predecessor(), address(0), "predecessor");
        vm.assertEq(settler.itemGasLimit(), ITEM_GAS_LIMIT, "item gas");
        vm.assertEq(settler.changeDelay(), CHANGE_DELAY, "delay");
        vm.assertTrue(!settler.restrictPayees(), "payees");
        vm.assertEq(settler.owner(), owner, "owner");
        vm.assertEq(settler.operator(), operator, "operator");
        vm.assertEq(settler.guardian(), guardian, "guardian");
        vm.assertEq(settler.batchHash(), bytes32(0), "hash");
        vm.assertEq(settler.payoutAvailable(), DAILY_LIMIT, "available");
        vm.assertTrue(!settler.paused(), "paused");
    }

    function test_deploy__missing_account__refused() public {
        bytes memory zero = abi.encodeWithSelector(ISettlerControls.ZeroAddress.selector);
        _checkRefused(_settings(), address(0), operator, guardian, zero);
        _checkRefused(_settings(), owner, address(0), guardian, zero);
        _checkRefused(_settings(), owner, operator, address(0), zero);
        IRedemptionSettler.Settings memory settings = _settings();
        settings.treasury = address(0);
        _checkRefused(settings, zero);
    }

    function test_deploy__unfit_tokens__refused() public {
        IRedemptionSettler.Settings memory settings = _settings();
        settings.payoutToken = settings.shareToken;
        _checkRefused(
            settings,
            abi.encodeWithSelector(
                IRedemptionSettler.ConflictingAddresses.selector, settings.shareToken, settings.shareToken
            )
        );
        settings = _settings();
        settings.shareToken = stranger;
        _checkRefused(settings, abi.encodeWithSelector(IRedemptionSettler.NotAContract.selector, stranger));
        settings = _settings();
        settings.payoutToken = stranger;
        _checkRefused(settings, abi.encodeWithSelector(IRedemptionSettler.NotAContract.selector, stranger));
    }

    function test_deploy__price_band__can_be_read_and_is_never_empty() public {
        IRedemptionSettler.Settings memory settings = _settings();
        settings.floorPrice = settings.ceilingPrice;
        vm.assertEq(_deploy(settings).floorPrice(), CEILING_PRICE, "floor price");
        settings.floorPrice = CEILING_PRICE + 1;
        _checkRefused(
            settings,
            abi.encodeWithSelector(ISettlerControls.FloorAboveCeiling.selector, CEILING_PRICE + 1, CEILING_PRICE)
        );
    }

    function test_deploy__predecessor__can_be_read() public {
        IRedemptionSettler.Settings memory settings = _settings();
        settings.predecessor = address(settler);
        IRedemptionSettler successor = _deploy(settings);
        vm.assertEq(successor.predecessor(), address(settler), "predecessor");
        settings.predecessor = address(successor);
        vm.assertEq(_deploy(settings).predecessor(), address(successor), "the one behind it");
    }

    function test_deploy__predecessor_that_is_no_settler_of_these_tokens__refused() public {
        IRedemptionSettler.Settings memory settings = _settings();
        (settings.shareToken, settings.payoutToken) = (address(dollars), address(shares));
        address otherTokens = address(_deploy(settings));
        address[4] memory named = [stranger, address(shares), address(this), otherTokens];
        settings = _settings();
        for (uint256 i; i < named.length; ++i) {
            settings.predecessor = named[i];
            _checkRefused(settings, abi.encodeWithSelector(IRedemptionSettler.NotAPredecessor.selector, named[i]));
        }
    }

    function test_deploy__numbers_out_of_range__refused() public {
        IRedemptionSettler.Settings memory settings = _settings();
        settings.changeDelay = 1 hours - 1;
        _checkRange(settings, "changeDelay", 1 hours - 1, 1 hours, 30 days);
        settings.changeDelay = 30 days + 1;
        _checkRange(settings, "changeDelay", 30 days + 1, 1 hours, 30 days);
        settings = _settings();
        settings.itemGasLimit = 99_999;
        _checkRange(settings, "itemGasLimit", 99_999, 100_000, 10_000_000);
        settings.itemGasLimit = 10_000_001;
        _checkRange(settings, "itemGasLimit", 10_000_001, 100_000, 10_000_000);
        settings = _settings();
        settings.dailyPayoutLimit = 1 << 128;
        _checkRange(settings, "dailyPayoutLimit", 1 << 128, 0, type(uint128).max);
        settings = _settings();
        settings.ceilingPrice = 1 << 128;
        _checkRange(settings, "ceilingPrice", 1 << 128, 0, type(uint128).max);
        settings = _settings();
        settings.floorPrice = 1 << 128;
        _checkRange(settings, "floorPrice", 1 << 128, 0, type(uint128).max);
        settings = _settings();
        settings.shareToken = address(_deployShares(37));
        _checkRange(settings, "shareDecimals", 37, 0, 36);
    }

    function _checkRange(
        IRedemptionSettler.Settings memory settings,
        string memory setting,
        uint256 given,
        uint256 minimum,
        uint256 maximum
    ) private {
        _checkRefused(
            settings,
            abi.encodeWithSelector(ISettlerControls.SettingOutOfRange.selector, setting, given, minimum, maximum)
        );
    }

    function _checkRefused(IRedemptionSettler.Settings memory settings, bytes memory reason) private {
        _checkRefused(settings, owner, operator, guardian, reason);
    }

    function _checkRefused(
        IRedemptionSettler.Settings memory settings,
        address owner_,
        address operator_,
        address guardian_,
        bytes memory reason
    ) private {
        bytes memory creation = abi.encodePacked(
            vm.getCode("RedemptionSettler.sol:RedemptionSettler"), abi.encode(settings, owner_, operator_, guardian_)
        );
        // Not `expectRevert`: it takes a creation that succeeds for one that reverted.
        address made;
        bytes memory answer;
        assembly ("memory-safe") {
            made := create(0, add(creation, 0x20), mload(creation))
            answer := mload(0x40)
            mstore(0x40, add(add(answer, 0x20), returndatasize()))
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 0x20), 0, returndatasize())
        }
        vm.assertEq(made, address(0), "not deployed");
        vm.assertEq(answer, reason, "reason");
    }
}
