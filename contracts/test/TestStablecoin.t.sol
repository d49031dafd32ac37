// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITestStablecoin} from "./ITestStablecoin.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice The test stablecoin, its block, its pause and its transfers by signature.
contract TestStablecoinTest is SettlerTest {
    uint256 private constant KEY = 0xA11CE;
    bytes32 private constant NONCE = keccak256("a redemption");

    function test_authorization__signed_by_owner__moves_once() public {
        (address from, uint8 v, bytes32 r, bytes32 s) = _sign(KEY, START - 1, START + 1);
        vm.expectEmit(address(dollars));
        emit ITestStablecoin.AuthorizationUsed(from, NONCE);
        dollars.transferWithAuthorization(from, payee, 5 * DOLLAR, START - 1, START + 1, NONCE, v, r, s);
        vm.assertEq(dollars.balanceOf(payee), 5 * DOLLAR, "paid");
        vm.assertTrue(dollars.authorizationState(from, NONCE), "used");
        vm.expectRevert(abi.encodeWithSelector(ITestStablecoin.AuthorizationAlreadyUsed.selector, from, NONCE));
        dollars.transferWithAuthorization(from, payee, 5 * DOLLAR, START - 1, START + 1, NONCE, v, r, s);
    }

    function test_authorization__outside_its_time__refused() public {
        (address from, uint8 v, bytes32 r, bytes32 s) = _sign(KEY, START, START + 1);
        vm.expectRevert(abi.encodeWithSelector(ITestStablecoin.AuthorizationNotYetValid.selector, START, START));
        dollars.transferWithAuthorization(from, payee, 5 * DOLLAR, START, START + 1, NONCE, v, r, s);
        (from, v, r, s) = _sign(KEY, 0, START);
        vm.expectRevert(abi.encodeWithSelector(ITestStablecoin.AuthorizationExpired.selector, START, START));
        dollars.transferWithAuthorization(from, payee, 5 * DOLLAR, 0, START, NONCE, v, r, s);
    }

    function test_authorization__signed_by_another__refused() public {
        (address signer, uint8 v, bytes32 r, bytes32 s) = _sign(KEY, 0, START + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                ITestStablecoin.AuthorizationSignerMismatch.selector, _signerOfOther(v, r, s), treasury
            )
        );
        dollars.transferWithAuthorization(treasury, payee, 5 * DOLLAR, 0, START + 1, NONCE, v, r, s);
        vm.assertTrue(signer != treasury, "another");
    }

    function test_authorization__cancelled__cannot_be_used() public {
        (address from, uint8 v, bytes32 r, bytes32 s) = _sign(KEY, 0, START + 1);
        bytes32 cancelHash = keccak256(abi.encode(dollars.CANCEL_AUTHORIZATION_TYPEHASH(), from, NONCE));
        (uint8 cv, bytes32 cr, bytes32 cs) = vm.sign(KEY, _digest(cancelHash));
        vm.expectEmit(address(dollars));
        emit ITestStablecoin.AuthorizationCanceled(from, NONCE);
        dollars.cancelAuthorization(from, NONCE, cv, cr, cs);
        vm.expectRevert(abi.encodeWithSelector(ITestStablecoin.AuthorizationAlreadyUsed.selector, from, NONCE));
        dollars.transferWithAuthorization(from, payee, 5 * DOLLAR, 0, START + 1, NONCE, v, r, s);
    }

    function test_block__stops_sending_and_receiving_and_keeps_the_balance() public {
        dollars.mint(stranger, DOLLAR);
        vm.expectEmit(address(dollars));
        emit ITestStablecoin.BlockChanged(stranger, true);
        dollars.setBlocked(stranger, true);
        bytes memory refusal = abi.encodeWithSelector(ITestStablecoin.AccountBlocked.selector, stranger);
        vm.expectRevert(refusal);
        vm.prank(stranger);
        dollars.transfer(payee, DOLLAR);
        vm.expectRevert(refusal);
        dollars.mint(stranger, DOLLAR);
        vm.assertTrue(dollars.isBlocked(stranger), "blocked");
        vm.assertEq(dollars.balanceOf(stranger), DOLLAR, "balance");
        dollars.setBlocked(stranger, false);
        vm.prank(stranger);
        dollars.transfer(payee, DOLLAR);
        vm.assertEq(dollars.balanceOf(payee), DOLLAR, "moves again");
    }

    function test_pause__stops_movements_until_lifted() public {
        dollars.pause();
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        dollars.mint(payee, DOLLAR);
        dollars.unpause();
        dollars.mint(payee, DOLLAR);
        vm.assertEq(dollars.balanceOf(payee), DOLLAR, "minted");
        vm.assertEq(dollars.decimals(), 6, "decimals");
    }

    function test_allowance__finite__spent_down_and_no_further() public {
        dollars.mint(stranger, 10 * DOLLAR);
        vm.prank(stranger);
        dollars.approve(address(this), 5 * DOLLAR);
        vm.assertTrue(dollars.transferFrom(stranger, payee, 3 * DOLLAR), "answer");
        vm.assertEq(dollars.allowance(stranger, address(this)), 2 * DOLLAR, "left");
        vm.expectRevert(
            abi.encodeWithSignature(
                "ERC20InsufficientAllowance(address,uint256,uint256)", address(this), 2 * DOLLAR, 3 * DOLLAR
            )
        );
        dollars.transferFrom(stranger, payee, 3 * DOLLAR);
        vm.assertEq(dollars.balanceOf(stranger), 7 * DOLLAR, "from");
        vm.assertEq(dollars.balanceOf(payee), 3 * DOLLAR, "to");
    }

    function test_allowance__infinite__stays() public {
        dollars.mint(stranger, 10 * DOLLAR);
        vm.prank(stranger);
        dollars.approve(address(this), type(uint256).max);
        dollars.transferFrom(stranger, payee, 10 * DOLLAR);
        vm.assertEq(dollars.allowance(stranger, address(this)), type(uint256).max, "left");
        vm.expectRevert(
            abi.encodeWithSignature("ERC20InsufficientBalance(address,uint256,uint256)", stranger, uint256(0), DOLLAR)
        );
        dollars.transferFrom(stranger, payee, DOLLAR);
    }

    function test_transferFrom__refused_as_a_transfer_would_be() public {
        dollars.mint(stranger, 10 * DOLLAR);
        vm.prank(stranger);
        dollars.approve(address(this), 10 * DOLLAR);
        vm.expectRevert(abi.encodeWithSignature("ERC20InvalidReceiver(address)", address(0)));
        dollars.transferFrom(stranger, address(0), DOLLAR);
        dollars.pause();
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        dollars.transferFrom(stranger, payee, DOLLAR);
        dollars.unpause();
        address[2] memory parties = [stranger, payee];
        for (uint256 i; i < 2; ++i) {
            dollars.setBlocked(parties[i], true);
            vm.expectRevert(abi.encodeWithSelector(ITestStablecoin.AccountBlocked.selector, parties[i]));
            dollars.transferFrom(stranger, payee, DOLLAR);
            dollars.setBlocked(parties[i], false);
        }
        vm.expectRevert(abi.encodeWithSignature("ERC20InvalidSpender(address)", address(0)));
        dollars.approve(address(0), DOLLAR);
        dollars.transferFrom(stranger, stranger, DOLLAR);
        vm.assertEq(dollars.balanceOf(stranger), 10 * DOLLAR, "to oneself nothing changes");
        vm.assertEq(dollars.allowance(stranger, address(this)), 9 * DOLLAR, "but the allowance");
    }

    function testFuzz_transferFrom__any_amounts__conserves(uint256 allowed, uint256 value) public {
        dollars.mint(stranger, 10 * DOLLAR);
        vm.prank(stranger);
        dollars.approve(address(this), allowed);
        if (value % 2 == 0) value %= 11 * DOLLAR;
        (bool succeeded,) = address(dollars).call(abi.encodeCall(dollars.transferFrom, (stranger, payee, value)));
        vm.assertTrue(succeeded == (value <= allowed && value <= 10 * DOLLAR), "as allowance and balance allow");
        uint256 moved = succeeded ? value : 0;
        vm.assertEq(dollars.balanceOf(payee), moved, "to");
        vm.assertEq(dollars.balanceOf(stranger), 10 * DOLLAR - moved, "from");
        uint256 spent = allowed == type(uint256).max ? 0 : moved;
        vm.assertEq(dollars.allowance(stranger, address(this)), allowed - spent, "allowance");
    }

    function test_owner__needed_to_mint_block_and_pause() public {
        bytes[3] memory calls = [
            abi.encodeCall(ITestStablecoin.mint, (payee, 1)),
            abi.encodeCall(ITestStablecoin.setBlocked, (payee, true)),
            abi.encodeCall(ITestStablecoin.pause, ())
        ];
        for (uint256 i; i < 3; ++i) {
            vm.prank(stranger);
            (bool succeeded, bytes memory answer) = address(dollars).call(calls[i]);
            vm.assertTrue(!succeeded, "refused");
            vm.assertEq(answer, abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", stranger), "reason");
        }
    }

    function test_mint__supply_too_large__refused() public {
        uint256 tooMuch = (1 << 255) - dollars.totalSupply();
        vm.expectRevert(abi.encodeWithSelector(ITestStablecoin.SupplyTooLarge.selector, tooMuch));
        dollars.mint(payee, tooMuch);
    }

    function _sign(uint256 key, uint256 validAfter, uint256 validBefore)
        private
        returns (address from, uint8 v, bytes32 r, bytes32 s)
    {
        from = vm.addr(key);
        dollars.mint(from, 10 * DOLLAR);
        (v, r, s) = vm.sign(key, _digest(_transferHash(from, validAfter, validBefore)));
    }

    /// @dev Who the signature seems to come from when it is read as the treasury's.
    function _signerOfOther(uint8 v, bytes32 r, bytes32 s) private view returns (address) {
        return ecrecover(_digest(_transferHash(treasury, 0, START + 1)), v, r, s);
    }

    function _transferHash(address from, uint256 validAfter, uint256 validBefore) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                dollars.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(), from, payee, 5 * DOLLAR, validAfter, validBefore, NONCE
            )
        );
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", dollars.DOMAIN_SEPARATOR(), structHash));
    }
}
