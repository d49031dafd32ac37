// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFundToken} from "../interfaces/IFundToken.sol";
import {SettlerTest} from "./SettlerTest.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @notice The reference share token.
contract FundTokenTest is SettlerTest {
    function test_mint__to_permitted_holder() public {
        uint256 supply = shares.totalSupply();
        _issue(stranger, 5 * SHARE);
        vm.assertEq(shares.balanceOf(stranger), 5 * SHARE, "balance");
        vm.assertEq(shares.totalSupply(), supply + 5 * SHARE, "supply");
    }

    function test_move__holder_not_permitted__refused() public {
        bytes memory refusal = abi.encodeWithSelector(IFundToken.HolderNotPermitted.selector, stranger);
        vm.expectRevert(refusal);
        shares.mint(stranger, SHARE);
        vm.expectRevert(refusal);
        vm.prank(investor);
        shares.transfer(stranger, SHARE);
    }

    function test_bar__holder_with_shares__keeps_them_and_cannot_move_them() public {
        vm.expectEmit(address(shares));
        emit IFundToken.HolderPermitted(investor, false);
        shares.setPermitted(investor, false);
        vm.assertTrue(!shares.isPermitted(investor), "not permitted");
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "balance");
        shares.setPermitted(stranger, true);
        vm.expectRevert(abi.encodeWithSelector(IFundToken.HolderNotPermitted.selector, investor));
        vm.prank(investor);
        shares.transfer(stranger, SHARE);
        shares.setPermitted(investor, true);
        vm.prank(investor);
        shares.transfer(stranger, SHARE);
        vm.assertEq(shares.balanceOf(stranger), SHARE, "moves again");
    }

    function test_transfer__to_oneself__changes_nothing() public {
        vm.prank(investor);
        shares.transfer(investor, SHARE);
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE, "balance");
    }

    function test_burn__without_role__refused() public {
        bytes32 role = shares.BURNER_ROLE();
        vm.expectRevert(
            abi.encodeWithSignature("AccessControlUnauthorizedAccount(address,bytes32)", address(this), role)
        );
        shares.burn(investor, SHARE);
    }

    function test_roles__needed_for_all_else() public {
        bytes32[4] memory roles =
            [shares.MINTER_ROLE(), shares.REGISTRAR_ROLE(), shares.PAUSER_ROLE(), shares.PAUSER_ROLE()];
        bytes[4] memory calls = [
            abi.encodeCall(IFundToken.mint, (investor, 1)),
            abi.encodeCall(IFundToken.setPermitted, (investor, false)),
            abi.encodeCall(IFundToken.pause, ()),
            abi.encodeCall(IFundToken.unpause, ())
        ];
        for (uint256 i; i < 4; ++i) {
            vm.prank(stranger);
            (bool succeeded, bytes memory answer) = address(shares).call(calls[i]);
            vm.assertTrue(!succeeded, "refused");
            vm.assertEq(
                answer,
                abi.encodeWithSignature("AccessControlUnauthorizedAccount(address,bytes32)", stranger, roles[i]),
                "reason"
            );
        }
    }

    function test_pause__stops_movements_until_lifted() public {
        shares.pause();
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        shares.mint(investor, 1);
        shares.unpause();
        shares.mint(investor, 1);
        vm.assertEq(shares.balanceOf(investor), 1_000_000 * SHARE + 1, "balance");
    }

    function test_pause__refuses_burns_and_leaves_the_supply_readable() public {
        IAccessControl(address(shares)).grantRole(shares.BURNER_ROLE(), address(this));
        uint256 supply = shares.totalSupply();
        shares.pause();
        vm.assertTrue(Pausable(address(shares)).paused(), "paused");
        vm.assertEq(shares.totalSupply(), supply, "supply");
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        shares.burn(investor, SHARE);
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        vm.prank(investor);
        shares.transfer(investor, SHARE);
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        shares.pause();
        shares.unpause();
        vm.assertTrue(!Pausable(address(shares)).paused(), "lifted");
        vm.expectRevert(abi.encodeWithSignature("ExpectedPause()"));
        shares.unpause();
        shares.burn(investor, SHARE);
        vm.assertEq(shares.totalSupply(), supply - SHARE, "supply after the burn");
        vm.assertEq(shares.balanceOf(investor), supply - SHARE, "balance");
    }

    function test_burn__more_than_held_or_of_a_barred_holder__refused() public {
        IAccessControl(address(shares)).grantRole(shares.BURNER_ROLE(), address(this));
        uint256 held = shares.balanceOf(investor);
        vm.expectRevert(
            abi.encodeWithSignature("ERC20InsufficientBalance(address,uint256,uint256)", investor, held, held + 1)
        );
        shares.burn(investor, held + 1);
        shares.setPermitted(investor, false);
        vm.expectRevert(abi.encodeWithSelector(IFundToken.HolderNotPermitted.selector, investor));
        shares.burn(investor, held);
        shares.setPermitted(investor, true);
        shares.burn(investor, held);
        vm.assertEq(shares.totalSupply(), 0, "supply");
    }

    function test_mint__supply_too_large__refused() public {
        uint256 most = (1 << 255) - 1 - shares.totalSupply();
        vm.expectRevert(abi.encodeWithSelector(IFundToken.SupplyTooLarge.selector, most + 1));
        shares.mint(investor, most + 1);
        shares.mint(investor, most);
        vm.assertTrue(shares.isPermitted(investor), "the flag is not touched by the largest balance");
        vm.assertEq(shares.balanceOf(investor), (1 << 255) - 1, "balance");
    }

    function test_decimals__as_deployed() public {
        vm.assertEq(_deployShares(6).decimals(), 6, "decimals");
        vm.assertEq(shares.decimals(), 18, "default");
    }

    function testFuzz_transfer__any_amount__conserves(uint256 amount) public {
        shares.setPermitted(stranger, true);
        uint256 held = shares.balanceOf(investor);
        amount %= held + 1;
        vm.prank(investor);
        shares.transfer(stranger, amount);
        vm.assertEq(shares.balanceOf(investor), held - amount, "sender");
        vm.assertEq(shares.balanceOf(stranger), amount, "receiver");
        vm.assertEq(shares.totalSupply(), held, "supply");
    }
}
