// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionSettler} from "../interfaces/IRedemptionSettler.sol";
import {ISettlerControls} from "../interfaces/ISettlerControls.sol";
import {SettlerTest} from "./SettlerTest.sol";

/// @notice Plays a fund's life in any order: batches good and bad, tokens that refuse, limits that move, time that
/// passes. Keeps its own book beside the chain's, which the invariants compare.
contract SettlementHandler is SettlerTest {
    uint256 private constant INDEXES = 64;
    uint256 private constant PEOPLE = 3;
    ISettlerControls.Bound private constant LIMIT = ISettlerControls.Bound.DailyPayoutLimit;

    struct Payment {
        uint256 timestamp;
        uint256 payout;
    }

    Payment[] private _payments;
    bytes32[] private _pastHashes;
    uint256 private _orders;
    mapping(address investor => mapping(address payee => bool)) private _permitted;
    bool private _askOwner;

    /// @notice The hash the settler must stand at.
    bytes32 public expectedHash;
    /// @notice Sums over the indexes that turned from unsettled to settled.
    uint256 public expectedPaid;
    uint256 public expectedBurned;
    /// @notice Events that must never happen.
    uint256 public forksAccepted;
    uint256 public bitsCleared;
    uint256 public dayLimitsExceeded;
    uint256 public previewsThatChanged;
    uint256 public payeesNotPermittedPaid;
    uint256 public pricesOutsideTheBandPaid;
    uint256 public bandsCrossed;
    /// @notice What was reached, so that a history of nothing but skips is noticed.
    uint256 public settledCount;
    uint256 public skippedCount;

    uint256 public immutable allowanceAtFirst;

    constructor() {
        SettlerTest.setUp();
        _useRestricted();
        for (uint256 i; i < PEOPLE; ++i) {
            _issue(_investor(i), 300_000 * SHARE);
            for (uint256 j; j < PEOPLE; ++j) {
                if (i != j) _permit(i, j, true);
            }
        }
        allowanceAtFirst = dollars.allowance(treasury, address(settler));
        _pastHashes.push(keccak256("a history of another settler"));
    }

    function settleBatch(uint256 seed) external {
        if (settler.paused()) return;
        IRedemptionSettler.Item[] memory items = _randomItems(seed);
        bool[] memory before = _bits(items);
        bytes32 previous = settler.batchHash();
        vm.prank(operator);
        settler.settle(previous, items);
        _pastHashes.push(previous);
        expectedHash = keccak256(abi.encode(previous, keccak256(abi.encode(items))));
        _book(items, before);
    }

    function settleOnForgottenHash(uint256 seed) external {
        bytes32 forgotten = _pastHashes[seed % _pastHashes.length];
        IRedemptionSettler.Item[] memory items = _randomItems(seed);
        vm.prank(operator);
        try settler.settle(forgotten, items) {
            ++forksAccepted;
        } catch {}
    }

    function settleAsStranger(uint256 seed) external {
        IRedemptionSettler.Item[] memory items = _randomItems(seed);
        bytes32 previous = settler.batchHash();
        try settler.settle(previous, items) {
            ++forksAccepted;
        } catch {}
    }

    function previewBatch(uint256 seed) external {
        if (settler.paused()) return;
        uint256 held = dollars.balanceOf(treasury);
        _preview(_randomItems(seed));
        if (dollars.balanceOf(treasury) != held || settler.batchHash() != expectedHash) ++previewsThatChanged;
    }

    function changeTokens(uint256 seed) external {
        dollars.setBlocked(_payee(seed % PEOPLE), (seed >> 8) % 3 == 0);
        shares.setPermitted(_investor((seed >> 16) % PEOPLE), (seed >> 24) % 4 != 0);
    }

    function permitOrNot(uint256 seed) external {
        _permit(seed % PEOPLE, (seed >> 8) % PEOPLE, (seed >> 16) % 4 != 0);
    }

    function passTime(uint256 seed) external {
        vm.warp(block.timestamp + (seed % 5 == 0 ? seed % 3 days : seed % 4 hours));
    }

    function moveLimit(uint256 seed) external {
        uint256 limit = settler.dailyPayoutLimit();
        (uint256 waiting, uint48 applicableAt) = settler.proposedWidening(LIMIT);
        vm.prank(owner);
        if (waiting != 0 && block.timestamp >= applicableAt) settler.applyWidening(LIMIT);
        else if (limit < DAILY_LIMIT) settler.proposeWidening(LIMIT, DAILY_LIMIT);
        else settler.narrowBound(LIMIT, limit / (2 + seed % 3));
    }

    /// @dev Floor and ceiling in turn, each tried beyond the other as well.
    function moveBand(uint256 seed) external {
        ISettlerControls.Bound bound =
            seed % 2 == 0 ? ISettlerControls.Bound.FloorPrice : ISettlerControls.Bound.CeilingPrice;
        uint256 price = (85 + (seed >> 8) % 30) * DOLLAR;
        (, uint48 applicableAt) = settler.proposedWidening(bound);
        vm.prank(owner);
        if (applicableAt != 0 && block.timestamp >= applicableAt) {
            try settler.applyWidening(bound) {} catch {}
        } else if ((seed >> 16) % 4 == 0) {
            try settler.narrowBound(bound, price) {} catch {}
        } else {
            // Wide again, so that most prices fit most of the time.
            price = bound == ISettlerControls.Bound.FloorPrice ? 90 * DOLLAR : CEILING_PRICE;
            try settler.proposeWidening(bound, price) {} catch {}
        }
        if (settler.floorPrice() > settler.ceilingPrice()) ++bandsCrossed;
    }

    function pauseOrUnpause(uint256 seed) external {
        if (settler.paused()) {
            vm.prank(owner);
            settler.unpause();
        } else if (seed % 3 == 0) {
            vm.prank(guardian);
            settler.pause();
        }
    }

    function paidToPayees() external view returns (uint256 total) {
        for (uint256 i; i < PEOPLE; ++i) {
            total += dollars.balanceOf(_payee(i));
        }
    }

    function burnedFromInvestors() external view returns (uint256 total) {
        total = PEOPLE * 300_000 * SHARE;
        for (uint256 i; i < PEOPLE; ++i) {
            total -= shares.balanceOf(_investor(i));
        }
    }

    function paidByTreasury() external view returns (uint256) {
        return 10 * DAILY_LIMIT - dollars.balanceOf(treasury);
    }

    function tokensInSettler() external view returns (uint256) {
        return shares.balanceOf(address(settler)) + dollars.balanceOf(address(settler));
    }

    function allowanceLeft() external view returns (uint256) {
        return dollars.allowance(treasury, address(settler));
    }

    function batchHash() external view returns (bytes32) {
        return settler.batchHash();
    }

    function _book(IRedemptionSettler.Item[] memory items, bool[] memory before) private {
        uint256 paid;
        for (uint256 i; i < items.length; ++i) {
            bool settledNow = settler.isSettled(items[i].index);
            if (before[i] && !settledNow) ++bitsCleared;
            if (before[i] || !settledNow) {
                ++skippedCount;
                continue;
            }
            ++settledCount;
            // Nothing is permitted or forbidden while a batch settles.
            if (!_mayBePaid(items[i])) ++payeesNotPermittedPaid;
            // Whole shares, so nothing is rounded.
            uint256 price = items[i].payout * SHARE / items[i].shares;
            if (price < settler.floorPrice() || price > settler.ceilingPrice()) ++pricesOutsideTheBandPaid;
            paid += items[i].payout;
            expectedBurned += items[i].shares;
        }
        expectedPaid += paid;
        if (paid == 0) return;
        _payments.push(Payment(block.timestamp, paid));
        if (_paidInLastDay() > settler.dailyPayoutLimit()) ++dayLimitsExceeded;
    }

    /// @dev Indexes are reused over batches, never within one, so that a bit tells which item set it.
    function _randomItems(uint256 seed) private returns (IRedemptionSettler.Item[] memory items) {
        items = new IRedemptionSettler.Item[](1 + seed % 6);
        uint256 firstIndex = (seed >> 8) % INDEXES;
        for (uint256 i; i < items.length; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            uint256 shares_ = (1 + word % 2000) * SHARE;
            uint256 price = (90 + (word >> 32) % 22) * DOLLAR;
            items[i] = IRedemptionSettler.Item({
                redemptionId: keccak256(abi.encode("order", ++_orders)),
                index: firstIndex + i,
                investor: _investor((word >> 64) % PEOPLE),
                payee: (word >> 72) % 16 == 0 ? treasury : _payee((word >> 80) % PEOPLE),
                shares: shares_,
                payout: shares_ / SHARE * price
            });
        }
    }

    /// @dev By the owner and by the investor in turn; the book beside the settler's.
    function _permit(uint256 investorAt, uint256 payeeAt, bool permitted) private {
        (address investor_, address payee_) = (_investor(investorAt), _payee(payeeAt));
        _permitted[investor_][payee_] = permitted;
        _askOwner = !_askOwner;
        vm.prank(_askOwner ? owner : investor_);
        if (_askOwner) settler.setPayeePermitted(investor_, payee_, permitted);
        else settler.permitPayee(payee_, permitted);
    }

    function _mayBePaid(IRedemptionSettler.Item memory item) private view returns (bool) {
        return item.payee == item.investor || _permitted[item.investor][item.payee];
    }

    function _bits(IRedemptionSettler.Item[] memory items) private view returns (bool[] memory bits) {
        bits = new bool[](items.length);
        for (uint256 i; i < items.length; ++i) {
            bits[i] = settler.isSettled(items[i].index);
        }
    }

    function _paidInLastDay() private view returns (uint256 total) {
        for (uint256 i; i < _payments.length; ++i) {
            if (_payments[i].timestamp + 24 hours >= block.timestamp) total += _payments[i].payout;
        }
    }

    function _investor(uint256 i) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("investor", i)))));
    }

    function _payee(uint256 i) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("payee", i)))));
    }
}
