// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {SettlerTest} from "./SettlerTest.sol";
import {
    AdminBurnShare,
    BurnFromShare,
    BurnShare,
    BurnWithDataShare,
    BurnWithReasonShare,
    EscrowShare,
    TestShare
} from "./tokens/BurnStyleShares.sol";
import {MisbehavingShare} from "./tokens/OddTokens.sol";

/// @notice Each way a fund token has of burning shares.
contract BurnStylesTest is SettlerTest {
    function test_burn__account_and_amount() public {
        _checkBurns(new BurnShare(), IRedemptionSettler.BurnStyle.Burn, false);
    }

    function test_burn__with_reason__given_the_redemption_id() public {
        BurnWithReasonShare share = new BurnWithReasonShare();
        _use(address(share), IRedemptionSettler.BurnStyle.BurnWithReason);
        share.mint(investor, SHARE);
        vm.expectEmit(address(share));
        emit BurnWithReasonShare.Burned(investor, SHARE, string(abi.encode(_item(0).redemptionId)));
        _settleOne(_item(0));
        vm.assertEq(share.totalSupply(), 0, "burned");
    }

    function test_burn__with_data__given_the_redemption_id() public {
        BurnWithDataShare share = new BurnWithDataShare();
        _use(address(share), IRedemptionSettler.BurnStyle.BurnWithData);
        share.mint(investor, SHARE);
        vm.expectEmit(address(share));
        emit BurnWithDataShare.Burned(investor, SHARE, abi.encode(_item(0).redemptionId));
        _settleOne(_item(0));
        vm.assertEq(share.totalSupply(), 0, "burned");
    }

    function test_burn__from_allowance() public {
        _checkBurns(new BurnFromShare(), IRedemptionSettler.BurnStyle.BurnFrom, true);
    }

    function test_burn__by_admin__returning_true() public {
        _checkBurns(new AdminBurnShare(), IRedemptionSettler.BurnStyle.AdminBurn, false);
    }

    function test_burn__from_escrow() public {
        _checkBurns(new EscrowShare(), IRedemptionSettler.BurnStyle.Escrow, true);
    }

    function test_burn__style_the_token_does_not_have__skipped() public {
        BurnShare share = new BurnShare();
        share.mint(investor, SHARE);
        for (uint256 style = 1; style <= uint256(type(IRedemptionSettler.BurnStyle).max); ++style) {
            _use(address(share), IRedemptionSettler.BurnStyle(style));
            vm.prank(investor);
            share.approve(address(settler), SHARE);
            _expectSkip(_item(0), IRedemptionSettler.SkipReason.BurnFailed, "");
            _settleOne(_item(0));
            vm.assertEq(share.balanceOf(investor), SHARE, "shares untouched");
        }
    }

    function test_burn__escrow_without_allowance__skipped() public {
        EscrowShare share = new EscrowShare();
        _use(address(share), IRedemptionSettler.BurnStyle.Escrow);
        share.mint(investor, SHARE);
        bytes memory words = abi.encodeWithSignature(
            "ERC20InsufficientAllowance(address,uint256,uint256)", address(settler), uint256(0), SHARE
        );
        _expectSkip(_item(0), IRedemptionSettler.SkipReason.BurnFailed, words);
        _settleOne(_item(0));
    }

    function test_burn__escrow_that_burns_nothing__shares_never_rest_in_the_settler() public {
        MisbehavingShare share = new MisbehavingShare();
        _use(address(share), IRedemptionSettler.BurnStyle.Escrow);
        share.mint(investor, SHARE);
        vm.prank(investor);
        share.approve(address(settler), SHARE);
        _expectSkip(_item(0), IRedemptionSettler.SkipReason.BurnNotExact, "");
        _settleOne(_item(0));
        vm.assertEq(share.balanceOf(address(settler)), 0, "settler's shares");
        vm.assertEq(share.balanceOf(investor), SHARE, "investor's shares");
    }

    function test_burn__share_decimals__set_the_price() public {
        shares = _deployShares(0);
        _use(address(shares), IRedemptionSettler.BurnStyle.Burn);
        shares.setPermitted(investor, true);
        shares.mint(investor, 10);
        _grantBurner();
        _expectSkip(_item(0, 2, 2 * CEILING_PRICE + 1), IRedemptionSettler.SkipReason.PriceAboveCeiling, "");
        _settleOne(_item(0, 2, 2 * CEILING_PRICE + 1));
        _settleOne(_item(0, 2, 2 * CEILING_PRICE));
        vm.assertEq(shares.balanceOf(investor), 8, "two whole shares burned");
    }

    function _checkBurns(TestShare share, IRedemptionSettler.BurnStyle style, bool needsAllowance) private {
        _use(address(share), style);
        share.mint(investor, 3 * SHARE);
        if (needsAllowance) {
            vm.prank(investor);
            share.approve(address(settler), SHARE);
        }
        _settleOne(_item(0));
        vm.assertEq(share.balanceOf(investor), 2 * SHARE, "investor's shares");
        vm.assertEq(share.totalSupply(), 2 * SHARE, "supply");
        vm.assertEq(share.balanceOf(address(settler)), 0, "settler's shares");
        vm.assertEq(dollars.balanceOf(payee), 100 * DOLLAR, "paid");
        vm.assertEq(uint256(settler.burnStyle()), uint256(style), "style");
    }
}
