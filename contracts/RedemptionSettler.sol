// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RollingDayLimit} from "./RollingDayLimit.sol";
import {SettlerControls} from "./SettlerControls.sol";
import {TokenCalls} from "./TokenCalls.sol";
import {IBurnStyles} from "./interfaces/IBurnStyles.sol";
import {IRedemptionSettler} from "./interfaces/IRedemptionSettler.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Settler of fund redemptions
/// @notice Immutable and without custody; one per fund and payout token. See the interface for what it promises, where
/// it departs from the plain reading of the design, and why.
contract RedemptionSettler is IRedemptionSettler, SettlerControls, ReentrancyGuardTransient {
    using RollingDayLimit for RollingDayLimit.Ledger;
    using TokenCalls for address;

    uint256 private constant ITEM_GAS_LIMIT_MIN = 100_000;
    uint256 private constant ITEM_GAS_LIMIT_MAX = 10_000_000;
    uint256 private constant SHARE_DECIMALS_MAX = 36;
    /// @dev What a batch needs besides its items' frames: one skip event, the ledger's two slots new, the last event.
    uint256 private constant TAIL_GAS = 80_000;
    /// @dev The calldata of `settleItem`: selector, the six words of an item, two limits.
    uint256 private constant FRAME_BYTES = 4 + 8 * 32;

    /// @inheritdoc IRedemptionSettler
    address public immutable shareToken;
    /// @inheritdoc IRedemptionSettler
    address public immutable payoutToken;
    /// @inheritdoc IRedemptionSettler
    address public immutable treasury;
    /// @inheritdoc IRedemptionSettler
    BurnStyle public immutable burnStyle;
    /// @inheritdoc IRedemptionSettler
    uint256 public immutable itemGasLimit;
    uint256 private immutable _wholeShare;

    /// @inheritdoc IRedemptionSettler
    bytes32 public batchHash;

    mapping(uint256 word => uint256 bits) private _settledBits;
    RollingDayLimit.Ledger private _payouts;

    constructor(Settings memory settings, address owner, address operator, address guardian)
        SettlerControls(
            owner, operator, guardian, settings.changeDelay, settings.dailyPayoutLimit, settings.ceilingPrice
        )
    {
        if (settings.treasury == address(0)) revert ZeroAddress();
        if (settings.shareToken == settings.payoutToken) {
            revert ConflictingAddresses(settings.shareToken, settings.payoutToken);
        }
        if (settings.treasury == address(this)) revert ConflictingAddresses(settings.treasury, address(this));
        if (settings.shareToken.code.length == 0) revert NotAContract(settings.shareToken);
        if (settings.payoutToken.code.length == 0) revert NotAContract(settings.payoutToken);
        _checkRange("itemGasLimit", settings.itemGasLimit, ITEM_GAS_LIMIT_MIN, ITEM_GAS_LIMIT_MAX);
        uint256 shareDecimals = IERC20Metadata(settings.shareToken).decimals();
        _checkRange("shareDecimals", shareDecimals, 0, SHARE_DECIMALS_MAX);

        shareToken = settings.shareToken;
        payoutToken = settings.payoutToken;
        treasury = settings.treasury;
        burnStyle = settings.burnStyle;
        itemGasLimit = settings.itemGasLimit;
        _wholeShare = 10 ** shareDecimals;
    }

    /// @inheritdoc IRedemptionSettler
    function settle(bytes32 previousBatchHash, Item[] calldata items)
        external
        onlyOperator
        whenNotPaused
        nonReentrant
        returns (bytes32 newBatchHash)
    {
        if (previousBatchHash != batchHash) revert BatchHashMismatch(batchHash, previousBatchHash);
        newBatchHash = _followingHash(previousBatchHash, items);
        batchHash = newBatchHash;

        uint256 settledCount = _run(items, new Outcome[](0));
        emit BatchSettled(newBatchHash, previousBatchHash, settledCount, items.length - settledCount);
    }

    /// @inheritdoc IRedemptionSettler
    function preview(Item[] calldata items) external whenNotPaused nonReentrant {
        Outcome[] memory outcomes = new Outcome[](items.length);
        _run(items, outcomes);
        revert PreviewResult(outcomes);
    }

    /// @inheritdoc IRedemptionSettler
    function settleItem(Item calldata item, uint256 priceLimit, uint256 payoutLeft) external {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);

        uint256 word = item.index >> 8;
        uint256 bit = 1 << (item.index & 0xff);
        uint256 bits = _settledBits[word];
        if (bits & bit != 0) _skip(SkipReason.AlreadySettled);
        if (!_isValid(item)) _skip(SkipReason.InvalidItem);
        // No overflow: all four factors are below 2^128.
        if (item.payout * _wholeShare > item.shares * priceLimit) _skip(SkipReason.PriceAboveCeiling);
        if (item.payout > payoutLeft) _skip(SkipReason.DailyLimitExceeded);

        _settledBits[word] = bits | bit;
        emit RedemptionSettled(item.redemptionId, item.investor, item.payee, item.index, item.shares, item.payout);
        _burn(item);
        _pay(item);
    }

    /// @inheritdoc IRedemptionSettler
    function isSettled(uint256 index) external view returns (bool) {
        return _settledBits[index >> 8] & (1 << (index & 0xff)) != 0;
    }

    /// @inheritdoc IRedemptionSettler
    function payoutAvailable() external view returns (uint256) {
        return _left(_payouts.paidInWindow());
    }

    /// @dev Runs the items and books what was paid. Fills `outcomes` unless it is empty. What was paid is booked once,
    /// after the transfers: until then it is counted here, and nothing else can settle meanwhile.
    function _run(Item[] calldata items, Outcome[] memory outcomes) private returns (uint256 settledCount) {
        if (items.length == 0) revert EmptyBatch();
        uint256 window = _payouts.paidInWindow();
        uint256 payoutLeft = _left(window);
        uint256 priceLimit = ceilingPrice();
        uint256 paid;
        bytes memory frame = new bytes(FRAME_BYTES);
        // A call is given at most 63/64 of the gas left. With this much left it is given the full item limit, so how an
        // item ends never depends on the transaction's gas.
        uint256 gasNeeded = itemGasLimit + itemGasLimit / 63 + TAIL_GAS;

        for (uint256 i; i < items.length; ++i) {
            uint256 gasBefore = gasleft();
            if (gasBefore < gasNeeded) revert GasTooLow(gasBefore, gasNeeded);
            Item calldata item = items[i];
            (SkipReason reason, bytes memory detail) = _callFrame(frame, item, priceLimit, payoutLeft - paid);
            if (reason == SkipReason.None) {
                paid += item.payout;
                ++settledCount;
            } else {
                emit RedemptionSkipped(item.redemptionId, item.index, reason, detail);
            }
            if (outcomes.length != 0) outcomes[i] = Outcome(item.redemptionId, reason, gasBefore - gasleft(), detail);
        }
        if (paid != 0) _payouts.record(window, paid);
    }

    /// @dev Calls `settleItem` with the item as it stands in the calldata, and reads how its frame ended.
    function _callFrame(bytes memory frame, Item calldata item, uint256 priceLimit, uint256 payoutLeft)
        private
        returns (SkipReason reason, bytes memory detail)
    {
        bytes4 selector = this.settleItem.selector;
        uint256 gasLimit = itemGasLimit;
        uint256 gasUsed = gasleft();
        bool settled;
        assembly ("memory-safe") {
            let data := add(frame, 0x20)
            mstore(data, selector)
            calldatacopy(add(data, 0x04), item, 0xc0)
            mstore(add(data, 0xc4), priceLimit)
            mstore(add(data, 0xe4), payoutLeft)
            settled := call(gasLimit, address(), 0, data, FRAME_BYTES, 0, 0)
        }
        if (settled) return (SkipReason.None, "");
        gasUsed -= gasleft();

        uint256 size;
        assembly ("memory-safe") {
            size := returndatasize()
        }
        // Without a word the frame either ran dry, or could not read an address wider than 160 bits.
        if (size == 0) return (gasUsed >= gasLimit ? SkipReason.ItemOutOfGas : SkipReason.InvalidItem, "");
        bytes memory words = new bytes(size - 4);
        assembly ("memory-safe") {
            returndatacopy(add(words, 0x20), 4, sub(size, 4))
        }
        return abi.decode(words, (SkipReason, bytes));
    }

    function _burn(Item calldata item) private {
        address token = shareToken;
        address investor = item.investor;
        uint256 shares = item.shares;
        uint256 sharesBefore = token.balanceOrSkip(investor, SkipReason.BurnFailed);
        if (burnStyle == BurnStyle.Escrow) {
            _burnFromEscrow(token, investor, shares);
        } else {
            token.callOrSkip(_burnCall(item), SkipReason.BurnFailed);
        }
        uint256 sharesAfter = token.balanceOrSkip(investor, SkipReason.BurnFailed);
        unchecked {
            if (sharesBefore - sharesAfter != shares) _skip(SkipReason.BurnNotExact);
        }
    }

    function _burnFromEscrow(address token, address investor, uint256 shares) private {
        uint256 restingBefore = token.balanceOrSkip(address(this), SkipReason.BurnFailed);
        token.callOrSkip(abi.encodeCall(IERC20.transferFrom, (investor, address(this), shares)), SkipReason.BurnFailed);
        token.callOrSkip(abi.encodeWithSignature("burn(uint256)", shares), SkipReason.BurnFailed);
        uint256 restingAfter = token.balanceOrSkip(address(this), SkipReason.BurnFailed);
        if (restingAfter != restingBefore) _skip(SkipReason.BurnNotExact);
    }

    function _pay(Item calldata item) private {
        address token = payoutToken;
        address payee = item.payee;
        uint256 payout = item.payout;
        uint256 balanceBefore = token.balanceOrSkip(payee, SkipReason.PayoutFailed);
        token.callOrSkip(abi.encodeCall(IERC20.transferFrom, (treasury, payee, payout)), SkipReason.PayoutFailed);
        uint256 balanceAfter = token.balanceOrSkip(payee, SkipReason.PayoutFailed);
        unchecked {
            if (balanceAfter - balanceBefore != payout) _skip(SkipReason.PayoutNotExact);
        }
    }

    function _burnCall(Item calldata item) private view returns (bytes memory) {
        BurnStyle style = burnStyle;
        if (style == BurnStyle.Burn) {
            return abi.encodeWithSignature("burn(address,uint256)", item.investor, item.shares);
        }
        if (style == BurnStyle.BurnFrom) return abi.encodeCall(IBurnStyles.burnFrom, (item.investor, item.shares));
        if (style == BurnStyle.AdminBurn) return abi.encodeCall(IBurnStyles.adminBurn, (item.investor, item.shares));
        // A string and bytes are encoded alike, so the two remaining styles differ in their selector only.
        string memory signature =
            style == BurnStyle.BurnWithReason ? "burn(address,uint256,string)" : "burn(address,uint256,bytes)";
        return abi.encodeWithSignature(signature, item.investor, item.shares, abi.encode(item.redemptionId));
    }

    function _isValid(Item calldata item) private view returns (bool) {
        return item.shares != 0 && item.shares <= AMOUNT_MAX && item.payout != 0 && item.payout <= AMOUNT_MAX
            && item.investor != address(0) && item.investor != address(this) && item.payee != address(0)
            && item.payee != address(this) && item.payee != treasury;
    }

    function _left(uint256 window) private view returns (uint256) {
        uint256 limit = dailyPayoutLimit();
        return limit > window ? limit - window : 0;
    }

    function _followingHash(bytes32 previousBatchHash, Item[] calldata items) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            // abi.encode(items): the offset of the array, its length, the items as they stand in the calldata.
            let data := mload(0x40)
            let size := mul(items.length, 0xc0)
            mstore(data, 0x20)
            mstore(add(data, 0x20), items.length)
            calldatacopy(add(data, 0x40), items.offset, size)
            mstore(0, previousBatchHash)
            mstore(0x20, keccak256(data, add(size, 0x40)))
            hash := keccak256(0, 0x40)
        }
    }

    function _skip(SkipReason reason) private pure {
        revert ItemReverted(reason, "");
    }
}
