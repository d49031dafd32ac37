// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What was paid in the last day
/// @notice Payments are kept by the hour in a ring of 25. The running total covers the present hour and the 24 before
/// it, so it reaches back 24 to 25 hours and contains every payment of any 24-hour span that ends now.
library RollingDayLimit {
    uint256 internal constant RING = 25;

    struct Bucket {
        uint128 paid;
        uint64 hour; // since the Unix epoch; tells a present bucket from one 25 hours old, so none needs clearing
    }

    struct Ledger {
        uint128 total; // of the 25 hours up to `hour`
        uint64 hour;
        Bucket[RING] buckets;
    }

    /// @notice The sum of the 25 hours up to the present one.
    function paidInWindow(Ledger storage ledger) internal view returns (uint256 total) {
        total = ledger.total;
        uint256 lastHour = ledger.hour;
        uint256 presentHour = block.timestamp / 1 hours;
        if (total == 0 || presentHour == lastHour) return total;
        if (presentHour - lastHour >= RING) return 0;
        for (uint256 entered = lastHour + 1; entered <= presentHour; ++entered) {
            // The hour that shares the entering hour's place in the ring is the one that leaves the window.
            Bucket storage bucket = ledger.buckets[entered % RING];
            if (bucket.hour + RING == entered) total -= bucket.paid;
        }
    }

    /// @notice Books a payment in the present hour.
    /// @param window the sum `paidInWindow` gave in this same block.
    function record(Ledger storage ledger, uint256 window, uint256 paid) internal {
        uint256 presentHour = block.timestamp / 1 hours;
        Bucket storage bucket = ledger.buckets[presentHour % RING];
        uint256 paidThisHour = bucket.hour == presentHour ? bucket.paid : 0;
        // Both fit: the settler's limit is at most 2^128 - 1 and bounds the window.
        bucket.paid = uint128(paidThisHour + paid);
        bucket.hour = uint64(presentHour);
        ledger.total = uint128(window + paid);
        ledger.hour = uint64(presentHour);
    }
}
