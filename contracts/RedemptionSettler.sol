// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RollingDayLimit} from "./RollingDayLimit.sol";
import {SettlerControls} from "./SettlerControls.sol";
import {TokenCalls} from "./TokenCalls.sol";
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
    uint256 private constant DETAIL_BYTES_MAX = 256;
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
    bytes4 private immutable _burnSelector;

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
        _burnSelector = _burnSelectorOf(settings.burnStyle);
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
    function preview(Item[] calldata items) external whenNotPaused nonReentrantView {
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
        (address investor, address payee, uint256 shares, uint256 payout) =
            (item.investor, item.payee, item.shares, item.payout);
        if (!_areAccounts(investor, payee)) _skip(SkipReason.InvalidItem);
        unchecked {
            // Zero wraps round, so one comparison refuses it together with what is too large.
            if (shares - 1 >= AMOUNT_MAX || payout - 1 >= AMOUNT_MAX) _skip(SkipReason.InvalidItem);
            // No overflow: all four factors are below 2^128.
            if (payout * _wholeShare > shares * priceLimit) _skip(SkipReason.PriceAboveCeiling);
        }
        if (payout > payoutLeft) _skip(SkipReason.DailyLimitExceeded);

        _settledBits[word] = bits | bit;
        emit RedemptionSettled(item.redemptionId, investor, payee, item.index, shares, payout);
        _burn(item.redemptionId, investor, shares);
        _pay(payee, payout);
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
        uint256 payoutLeftAtFirst = _left(window);
        uint256 payoutLeft = payoutLeftAtFirst;
        uint256 priceLimit = ceilingPrice();
        bytes memory frame = new bytes(FRAME_BYTES);
        // A call is given at most 63/64 of the gas left. With this much left it is given the full item limit, so how an
        // item ends never depends on the transaction's gas.
        uint256 gasNeeded = itemGasLimit + itemGasLimit / 63 + TAIL_GAS;

        for (uint256 i; i < items.length; ++i) {
            uint256 gasBefore = gasleft();
            if (gasBefore < gasNeeded) revert GasTooLow(gasBefore, gasNeeded);
            Item calldata item = items[i];
            if (_callFrame(frame, item, priceLimit, payoutLeft)) {
                unchecked {
                    // The frame has found the payout to be within what is left.
                    payoutLeft -= item.payout;
                    ++settledCount;
                }
                if (outcomes.length != 0) {
                    outcomes[i] = Outcome(item.redemptionId, SkipReason.None, gasBefore - gasleft(), "");
                }
            } else {
                (SkipReason reason, bytes memory detail) = _lastWords(gasBefore - gasleft());
                emit RedemptionSkipped(item.redemptionId, item.index, reason, detail);
                if (outcomes.length != 0) {
                    outcomes[i] = Outcome(item.redemptionId, reason, gasBefore - gasleft(), detail);
                }
            }
        }
        if (settledCount != 0) _payouts.record(window, payoutLeftAtFirst - payoutLeft);
    }

    /// @dev Calls `settleItem` with the item as it stands in the calldata.
    function _callFrame(bytes memory frame, Item calldata item, uint256 priceLimit, uint256 payoutLeft)
        private
        returns (bool settled)
    {
        bytes4 selector = this.settleItem.selector;
        uint256 gasLimit = itemGasLimit;
        assembly ("memory-safe") {
            let data := add(frame, 0x20)
            mstore(data, selector)
            calldatacopy(add(data, 0x04), item, 0xc0)
            mstore(add(data, 0xc4), priceLimit)
            mstore(add(data, 0xe4), payoutLeft)
            settled := call(gasLimit, address(), 0, data, FRAME_BYTES, 0, 0)
        }
    }

    /// @dev Reads how the frame that has just failed ended.
    function _lastWords(uint256 gasUsed) private view returns (SkipReason reason, bytes memory detail) {
        uint256 size;
        assembly ("memory-safe") {
            size := returndatasize()
        }
        // Without a word the frame either ran dry, or could not read an address wider than 160 bits.
        if (size == 0) return (gasUsed > itemGasLimit ? SkipReason.ItemOutOfGas : SkipReason.InvalidItem, "");
        bytes memory words = new bytes(size - 4);
        assembly ("memory-safe") {
            returndatacopy(add(words, 0x20), 4, sub(size, 4))
        }
        return abi.decode(words, (SkipReason, bytes));
    }

    function _burn(bytes32 redemptionId, address investor, uint256 shares) private {
        uint256 sharesBefore = _balanceOrSkip(shareToken, investor, SkipReason.BurnFailed);
        bool burned;
        if (burnStyle == BurnStyle.BurnWithReason || burnStyle == BurnStyle.BurnWithData) {
            // A string and bytes are encoded alike.
            bytes memory data = abi.encodeWithSelector(_burnSelector, investor, shares, abi.encode(redemptionId));
            burned = shareToken.tryCall(data);
        } else if (burnStyle == BurnStyle.Escrow) {
            burned = _burnFromEscrow(investor, shares);
        } else {
            burned = shareToken.tryBurn(_burnSelector, investor, shares);
        }
        if (!burned) _skipWithAnswer(SkipReason.BurnFailed);
        uint256 sharesAfter = _balanceOrSkip(shareToken, investor, SkipReason.BurnFailed);
        unchecked {
            if (sharesBefore - sharesAfter != shares) _skip(SkipReason.BurnNotExact);
        }
    }

    function _burnFromEscrow(address investor, uint256 shares) private returns (bool) {
        uint256 restingBefore = _balanceOrSkip(shareToken, address(this), SkipReason.BurnFailed);
        if (!shareToken.tryTransferFrom(investor, address(this), shares)) return false;
        if (!shareToken.tryCall(abi.encodeWithSelector(_burnSelector, shares))) return false;
        uint256 restingAfter = _balanceOrSkip(shareToken, address(this), SkipReason.BurnFailed);
        if (restingAfter != restingBefore) _skip(SkipReason.BurnNotExact);
        return true;
    }

    function _pay(address payee, uint256 payout) private {
        uint256 balanceBefore = _balanceOrSkip(payoutToken, payee, SkipReason.PayoutFailed);
        if (!payoutToken.tryTransferFrom(treasury, payee, payout)) _skipWithAnswer(SkipReason.PayoutFailed);
        uint256 balanceAfter = _balanceOrSkip(payoutToken, payee, SkipReason.PayoutFailed);
        unchecked {
            if (balanceAfter - balanceBefore != payout) _skip(SkipReason.PayoutNotExact);
        }
    }

    function _balanceOrSkip(address token, address account, SkipReason reason) private view returns (uint256) {
        (bool succeeded, uint256 held) = token.tryBalanceOf(account);
        if (!succeeded) _skipWithAnswer(reason);
        return held;
    }

    /// @dev Ends the item's frame with the answer of the token call that has just failed.
    function _skipWithAnswer(SkipReason reason) private view {
        uint256 size;
        assembly ("memory-safe") {
            size := returndatasize()
        }
        if (size == 0 && gasleft() < itemGasLimit / 16) _skip(SkipReason.ItemOutOfGas);
        if (size > DETAIL_BYTES_MAX) size = DETAIL_BYTES_MAX;
        bytes memory detail = new bytes(size);
        assembly ("memory-safe") {
            returndatacopy(add(detail, 0x20), 0, size)
        }
        revert ItemReverted(reason, detail);
    }

    function _areAccounts(address investor, address payee) private view returns (bool) {
        return investor != address(0) && investor != address(this) && payee != address(0) && payee != address(this)
            && payee != treasury;
    }

    function _burnSelectorOf(BurnStyle style) private pure returns (bytes4) {
        if (style == BurnStyle.Burn) return bytes4(keccak256("burn(address,uint256)"));
        if (style == BurnStyle.BurnWithReason) return bytes4(keccak256("burn(address,uint256,string)"));
        if (style == BurnStyle.BurnWithData) return bytes4(keccak256("burn(address,uint256,bytes)"));
        if (style == BurnStyle.BurnFrom) return bytes4(keccak256("burnFrom(address,uint256)"));
        if (style == BurnStyle.AdminBurn) return bytes4(keccak256("adminBurn(address,uint256)"));
        return bytes4(keccak256("burn(uint256)"));
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
