// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFundToken} from "../interfaces/IFundToken.sol";
import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {ITestStablecoin} from "./ITestStablecoin.sol";
import {Vm} from "./Vm.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice A fund with its settler, and the few words the tests are written in.
/// The contracts are deployed from their artifacts, so the tests need not be compiled the slow way those are.
abstract contract SettlerTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address internal immutable owner = _account("owner");
    address internal immutable operator = _account("operator");
    address internal immutable guardian = _account("guardian");
    address internal immutable treasury = _account("treasury");
    address internal immutable investor = _account("investor");
    address internal immutable payee = _account("payee");
    address internal immutable stranger = _account("stranger");

    uint256 internal constant SHARE = 1e18;
    uint256 internal constant DOLLAR = 1e6;
    uint256 internal constant DAILY_LIMIT = 1_000_000 * DOLLAR;
    uint256 internal constant CEILING_PRICE = 110 * DOLLAR;
    uint256 internal constant ITEM_GAS_LIMIT = 300_000;
    uint48 internal constant CHANGE_DELAY = 2 days;
    uint256 internal constant START = 1_800_000_000;

    IFundToken internal shares;
    ITestStablecoin internal dollars;
    IRedemptionSettler internal settler;

    function setUp() public virtual {
        vm.warp(START);
        shares = _deployShares(18);
        dollars = ITestStablecoin(
            vm.deployCode("TestStablecoin.sol:TestStablecoin", abi.encode("Test Dollar", "TUSD", address(this)))
        );
        settler = _deploy(_settings());
        _grantBurner();
        dollars.mint(treasury, 10 * DAILY_LIMIT);
        vm.prank(treasury);
        dollars.approve(address(settler), 9 * DAILY_LIMIT);
        _issue(investor, 1_000_000 * SHARE);
    }

    function _settings() internal view returns (IRedemptionSettler.Settings memory) {
        return _settingsOf(address(shares), address(dollars), IRedemptionSettler.BurnStyle.Burn);
    }

    function _settingsOf(address shareToken, address payoutToken, IRedemptionSettler.BurnStyle style)
        internal
        view
        returns (IRedemptionSettler.Settings memory)
    {
        return IRedemptionSettler.Settings({
            shareToken: shareToken,
            payoutToken: payoutToken,
            treasury: treasury,
            burnStyle: style,
            dailyPayoutLimit: DAILY_LIMIT,
            floorPrice: 0,
            ceilingPrice: CEILING_PRICE,
            itemGasLimit: ITEM_GAS_LIMIT,
            changeDelay: CHANGE_DELAY,
            restrictPayees: false,
            predecessor: address(0)
        });
    }

    /// @dev Puts a settler that restricts payees in the place of the present one, with its rights.
    function _useRestricted() internal {
        IRedemptionSettler.Settings memory settings = _settings();
        settings.restrictPayees = true;
        settler = _deploy(settings);
        _grantBurner();
        vm.prank(treasury);
        dollars.approve(address(settler), 9 * DAILY_LIMIT);
    }

    function _deploy(IRedemptionSettler.Settings memory settings) internal returns (IRedemptionSettler) {
        return _deploy(settings, owner, operator, guardian);
    }

    function _deploy(IRedemptionSettler.Settings memory settings, address owner_, address operator_, address guardian_)
        internal
        returns (IRedemptionSettler)
    {
        bytes memory arguments = abi.encode(settings, owner_, operator_, guardian_);
        return IRedemptionSettler(vm.deployCode("RedemptionSettler.sol:RedemptionSettler", arguments));
    }

    function _deployShares(uint8 decimals) internal returns (IFundToken) {
        bytes memory arguments = abi.encode("Fund Share", "FUND", decimals, address(this));
        return IFundToken(vm.deployCode("FundToken.sol:FundToken", arguments));
    }

    /// @dev Puts a settler for these tokens in the place of the present one.
    function _use(address shareToken, address payoutToken, IRedemptionSettler.BurnStyle style) internal {
        settler = _deploy(_settingsOf(shareToken, payoutToken, style));
    }

    /// @dev The same for another share token, with the dollars to pay out.
    function _use(address shareToken, IRedemptionSettler.BurnStyle style) internal {
        _use(shareToken, address(dollars), style);
        vm.prank(treasury);
        dollars.approve(address(settler), 9 * DAILY_LIMIT);
    }

    /// @dev Lets the present settler burn the fund's shares.
    function _grantBurner() internal {
        IAccessControl(address(shares)).grantRole(shares.BURNER_ROLE(), address(settler));
    }

    function _issue(address account, uint256 amount) internal {
        shares.setPermitted(account, true);
        shares.mint(account, amount);
    }

    /// @dev A redemption of one share at 100 dollars.
    function _item(uint256 index) internal view returns (IRedemptionSettler.Item memory) {
        return _item(index, SHARE, 100 * DOLLAR);
    }

    function _item(uint256 index, uint256 shares_, uint256 payout)
        internal
        view
        returns (IRedemptionSettler.Item memory)
    {
        return IRedemptionSettler.Item({
            redemptionId: keccak256(abi.encode("order", index)),
            index: index,
            investor: investor,
            payee: payee,
            shares: shares_,
            payout: payout
        });
    }

    function _one(IRedemptionSettler.Item memory item) internal pure returns (IRedemptionSettler.Item[] memory items) {
        items = new IRedemptionSettler.Item[](1);
        items[0] = item;
    }

    /// @dev Items of one share each, indexes from `first` on.
    function _items(uint256 first, uint256 count) internal view returns (IRedemptionSettler.Item[] memory items) {
        items = new IRedemptionSettler.Item[](count);
        for (uint256 i; i < count; ++i) {
            items[i] = _item(first + i);
        }
    }

    /// @dev Settles on top of the present batch hash.
    function _settle(IRedemptionSettler.Item[] memory items) internal returns (bytes32) {
        bytes32 previous = settler.batchHash();
        vm.prank(operator);
        return settler.settle(previous, items);
    }

    function _settleOne(IRedemptionSettler.Item memory item) internal {
        _settle(_one(item));
    }

    /// @dev The next call must skip this item for this reason; only the checks of the event follow.
    function _expectSkip(IRedemptionSettler.Item memory item, IRedemptionSettler.SkipReason reason, bytes memory detail)
        internal
    {
        vm.expectEmit(address(settler));
        emit IRedemptionSettler.RedemptionSkipped(item.redemptionId, item.index, reason, detail);
    }

    function _preview(IRedemptionSettler.Item[] memory items)
        internal
        returns (IRedemptionSettler.Outcome[] memory outcomes)
    {
        try settler.preview(items) {
            revert("preview returned");
        } catch (bytes memory answer) {
            require(bytes4(answer) == IRedemptionSettler.PreviewResult.selector, "not a preview");
            outcomes = abi.decode(_withoutSelector(answer), (IRedemptionSettler.Outcome[]));
        }
    }

    function _withoutSelector(bytes memory answer) internal pure returns (bytes memory words) {
        words = new bytes(answer.length - 4);
        for (uint256 i; i < words.length; ++i) {
            words[i] = answer[i + 4];
        }
    }

    function _account(string memory name) internal pure returns (address) {
        return address(uint160(uint256(keccak256(bytes(name)))));
    }
}
