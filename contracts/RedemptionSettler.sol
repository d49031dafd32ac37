// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ItemData} from "./ItemData.sol";
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
    using ItemData for Item;
    using ItemData for Item[];
    using RollingDayLimit for RollingDayLimit.Ledger;
    using TokenCalls for address;

    uint256 private constant ITEM_GAS_LIMIT_MIN = 100_000;
    uint256 private constant ITEM_GAS_LIMIT_MAX = 10_000_000;
    uint256 private constant SHARE_DECIMALS_MAX = 36;
    /// @dev What a batch needs besides its items' frames: one skip event, a bitmap word new, the ledger's two slots new,
    /// the last event.
    uint256 private constant TAIL_GAS = 80_000;
    uint256 private constant DETAIL_BYTES_MAX = 256;
    /// @dev The calldata of `settleOneAlone`: selector, the six words of an item, the two prices, what the limit still
    /// allows, and the treasury's balance.
    uint256 private constant FRAME_BYTES = 4 + 10 * 32;

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
    /// @inheritdoc IRedemptionSettler
    address public immutable predecessor;
    uint256 private immutable _wholeShare;
    /// @dev A call is given at most 63/64 of the gas left. With this much left it is given the full item limit, so how an
    /// item ends never depends on the transaction's gas.
    uint256 private immutable _gasNeeded;
    uint256 private immutable _burnSelector;
    /// @dev Whether the burn function takes an account and an amount, and nothing else.
    bool private immutable _burnIsPlain;

    /// @inheritdoc IRedemptionSettler
    bytes32 public batchHash;

    mapping(uint256 word => uint256 bits) private _settledBits;
    RollingDayLimit.Ledger private _payouts;

    constructor(Settings memory settings, address owner, address operator, address guardian)
        SettlerControls(
            owner,
            operator,
            guardian,
            settings.changeDelay,
            settings.dailyPayoutLimit,
            settings.floorPrice,
            settings.ceilingPrice,
            settings.restrictPayees
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
        if (settings.predecessor != address(0)) _checkPredecessor(settings);

        shareToken = settings.shareToken;
        payoutToken = settings.payoutToken;
        treasury = settings.treasury;
        burnStyle = settings.burnStyle;
        _burnSelector = uint32(_burnSelectorOf(settings.burnStyle));
        _burnIsPlain = settings.burnStyle == BurnStyle.Burn || settings.burnStyle == BurnStyle.BurnFrom
            || settings.burnStyle == BurnStyle.AdminBurn;
        itemGasLimit = settings.itemGasLimit;
        _gasNeeded = settings.itemGasLimit + settings.itemGasLimit / 63 + TAIL_GAS;
        _wholeShare = 10 ** shareDecimals;
        predecessor = settings.predecessor;
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
        newBatchHash = items.followingHash(previousBatchHash);
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
    function settleOneAlone(Frame calldata frame) external payable returns (uint256 treasuryHeldAfter) {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        Item calldata item = frame.item;
        if (!item.isValid(treasury, shareToken, payoutToken)) _skip(SkipReason.InvalidItem);
        // Nearly every item pays its investor, whom nothing more needs to be asked about.
        if (item.paysAnother()) _checkPayee(item);
        (uint256 shares, uint256 payout) = (item.shares, item.payout);
        unchecked {
            // No overflow: every factor is below 2^128, and no whole share is more than 10^36 base units.
            uint256 paidPerShares = payout * _wholeShare;
            if (paidPerShares > shares * frame.ceilingPrice) _skip(SkipReason.PriceAboveCeiling);
            // payout + 1 <= shares * floorPrice / wholeShare, that is payout < floor(...), without the division.
            if (paidPerShares + _wholeShare <= shares * frame.floorPrice) _skip(SkipReason.PriceBelowFloor);
        }
        if (payout > frame.payoutLeft) _skip(SkipReason.DailyLimitExceeded);

        (address investor, address payee) = item.accounts();
        emit RedemptionSettled(item.redemptionId, investor, payee, item.index, shares, payout);
        if (_burnIsPlain) {
            uint256 burned = shareToken.burnExactly(_burnSelector, investor, shares);
            if (burned != TokenCalls.EXACT) _skipMove(burned, SkipReason.BurnFailed, SkipReason.BurnNotExact);
        } else {
            _burnOtherwise(item.redemptionId, investor, shares);
        }
        uint256 paid;
        (paid, treasuryHeldAfter) = payoutToken.transferExactly(treasury, payee, payout, frame.treasuryHeld);
        if (paid != TokenCalls.EXACT) _skipMove(paid, SkipReason.PayoutFailed, SkipReason.PayoutNotExact);
    }

    /// @inheritdoc IRedemptionSettler
    function isSettled(uint256 index) external view nonReentrantView returns (bool) {
        return _settledBits[index >> 8] & (1 << (index & 0xff)) != 0;
    }

    /// @inheritdoc IRedemptionSettler
    function payoutAvailable() external view nonReentrantView returns (uint256) {
        return _left(_payouts.paidInWindow());
    }

    /// @dev Runs the items and books what was settled. Fills `outcomes` unless it is empty.
    ///
    /// The bits of the word at hand and the sum paid are counted here and written after the frames: a word when the next
    /// item needs another and at the end, the sum at the end. While a batch settles, the guard refuses whoever would
    /// settle, preview, or read a bit or the limit, so nothing can act on what is not written yet. A preview needs no
    /// such guard, since everything that happens inside it is undone.
    function _run(Item[] calldata items, Outcome[] memory outcomes) private returns (uint256 settledCount) {
        if (items.length == 0) revert EmptyBatch();
        uint256 window = _payouts.paidInWindow();
        uint256 payoutLeftAtFirst = _left(window);
        uint256 payoutLeft = payoutLeftAtFirst;
        uint256 frame = _newFrame(floorPrice(), ceilingPrice());

        Item calldata item = items[0];
        uint256 wordIndex = item.index >> 8;
        uint256 bits = _settledBits[wordIndex];

        for (uint256 i; i < items.length; ++i) {
            uint256 gasBefore = gasleft();
            uint256 index = item.index;
            if (index >> 8 != wordIndex) {
                _settledBits[wordIndex] = bits;
                wordIndex = index >> 8;
                bits = _settledBits[wordIndex];
            }
            if (gasleft() < _gasNeeded) revert GasTooLow(gasleft(), _gasNeeded);
            uint256 bit = 1 << (index & 0xff);
            bool unsettled = bits & bit == 0;
            if (unsettled && _callFrame(frame, item, payoutLeft)) {
                bits |= bit;
                unchecked {
                    // The frame has found the payout to be within what is left.
                    payoutLeft -= item.payout;
                    ++settledCount;
                }
                if (outcomes.length != 0) {
                    outcomes[i] = Outcome(item.redemptionId, SkipReason.None, gasBefore - gasleft(), "");
                }
            } else {
                _forgetTreasuryHeld(frame);
                (SkipReason reason, bytes memory detail) =
                    unsettled ? _lastWords() : (SkipReason.AlreadySettled, bytes(""));
                emit RedemptionSkipped(item.redemptionId, index, reason, detail);
                if (outcomes.length != 0) {
                    outcomes[i] = Outcome(item.redemptionId, reason, gasBefore - gasleft(), detail);
                }
            }
            item = item.next();
        }
        _settledBits[wordIndex] = bits;
        if (settledCount != 0) _payouts.record(window, payoutLeftAtFirst - payoutLeft);
    }

    /// @dev Memory for the calldata of `settleOneAlone`, with what is the same for every item of a batch, and the treasury's
    /// balance still to be read.
    function _newFrame(uint256 floorPrice_, uint256 ceilingPrice_) private pure returns (uint256 frame) {
        bytes4 selector = this.settleOneAlone.selector;
        bytes memory allocated = new bytes(FRAME_BYTES);
        assembly ("memory-safe") {
            frame := add(allocated, 0x20)
            mstore(frame, selector)
            mstore(add(frame, 0xc4), floorPrice_)
            mstore(add(frame, 0xe4), ceilingPrice_)
            mstore(add(frame, 0x124), not(0))
        }
    }

    /// @dev Calls `settleOneAlone` with the item as it stands in the calldata. Its answer, the treasury's balance that the
    /// item leaves, is put where the next item's frame starts from it.
    function _callFrame(uint256 frame, Item calldata item, uint256 payoutLeft) private returns (bool settled) {
        uint256 gasLimit = itemGasLimit;
        assembly ("memory-safe") {
            calldatacopy(add(frame, 0x04), item, 0xc0)
            mstore(add(frame, 0x104), payoutLeft)
            settled := call(gasLimit, address(), 0, frame, FRAME_BYTES, add(frame, 0x124), 0x20)
        }
    }

    /// @dev The treasury's balance is read again: a failed frame's answer lies where what it leaves is handed on.
    function _forgetTreasuryHeld(uint256 frame) private pure {
        assembly ("memory-safe") {
            mstore(add(frame, 0x124), not(0))
        }
    }

    /// @dev Reads how the frame that has just failed ended.
    function _lastWords() private pure returns (SkipReason reason, bytes memory detail) {
        uint256 size;
        assembly ("memory-safe") {
            size := returndatasize()
        }
        // Whatever else is wrong has a word; only a frame without gas has none.
        if (size == 0) return (SkipReason.ItemOutOfGas, "");
        bytes memory words = new bytes(size - 4);
        assembly ("memory-safe") {
            returndatacopy(add(words, 0x20), 4, sub(size, 4))
        }
        return abi.decode(words, (SkipReason, bytes));
    }

    /// @dev Asked in low-level calls, so that a contract that is no settler is named and not just reverted with.
    function _checkPredecessor(Settings memory settings) private view {
        address named = settings.predecessor;
        if (
            !_answers(named, IRedemptionSettler.shareToken.selector, settings.shareToken)
                || !_answers(named, IRedemptionSettler.payoutToken.selector, settings.payoutToken)
        ) revert NotAPredecessor(named);
        (bool succeeded, bytes memory answer) = named.staticcall(abi.encodeCall(IRedemptionSettler.batchHash, ()));
        if (!succeeded || answer.length != 32) revert NotAPredecessor(named);
    }

    function _answers(address named, bytes4 selector, address expected) private view returns (bool) {
        (bool succeeded, bytes memory answer) = named.staticcall(abi.encodeWithSelector(selector));
        return succeeded && answer.length == 32 && bytes32(answer) == bytes32(uint256(uint160(expected)));
    }

    function _checkPayee(Item calldata item) private view {
        if (!item.payeeIsValid(shareToken, payoutToken)) _skip(SkipReason.InvalidItem);
        (address investor, address payee) = item.accounts();
        if (!isPayeePermitted(investor, payee)) _skip(SkipReason.PayeeNotPermitted);
    }

    /// @dev The burns that take more than an account and an amount, verified in the same way.
    function _burnOtherwise(bytes32 redemptionId, address investor, uint256 shares) private {
        uint256 sharesBefore = _balanceOrSkip(shareToken, investor, SkipReason.BurnFailed);
        bytes4 selector = bytes4(uint32(_burnSelector));
        if (burnStyle == BurnStyle.Escrow) {
            _burnFromEscrow(selector, investor, shares);
        } else {
            // A string and bytes are encoded alike.
            _callOrSkip(abi.encodeWithSelector(selector, investor, shares, abi.encode(redemptionId)));
        }
        uint256 sharesAfter = _balanceOrSkip(shareToken, investor, SkipReason.BurnFailed);
        unchecked {
            if (sharesBefore - sharesAfter != shares) _skip(SkipReason.BurnNotExact);
        }
    }

    function _burnFromEscrow(bytes4 selector, address investor, uint256 shares) private {
        uint256 restingBefore = _balanceOrSkip(shareToken, address(this), SkipReason.BurnFailed);
        _callOrSkip(abi.encodeCall(IERC20.transferFrom, (investor, address(this), shares)));
        _callOrSkip(abi.encodeWithSelector(selector, shares));
        uint256 restingAfter = _balanceOrSkip(shareToken, address(this), SkipReason.BurnFailed);
        if (restingAfter != restingBefore) _skip(SkipReason.BurnNotExact);
    }

    function _callOrSkip(bytes memory data) private {
        if (!shareToken.tryCall(data)) _skipWithAnswer(SkipReason.BurnFailed);
    }

    function _balanceOrSkip(address token, address account, SkipReason reason) private view returns (uint256) {
        (bool succeeded, uint256 held) = token.tryBalanceOf(account);
        if (!succeeded) _skipWithAnswer(reason);
        return held;
    }

    /// @dev Ends the item's frame after a burn or a payout that was not exact.
    function _skipMove(uint256 verdict, SkipReason failed, SkipReason notExact) private view {
        if (verdict == TokenCalls.FAILED) _skipWithAnswer(failed);
        _skip(notExact);
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

    function _skip(SkipReason reason) private pure {
        revert ItemReverted(reason, "");
    }
}
