// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlerControls} from "./ISettlerControls.sol";

/// @title Settler of fund redemptions
/// @notice Burns an investor's shares and pays the payee in the same call frame: both happen or neither does.
///
/// What the chain itself enforces, whatever the operator sends:
///
/// - Paid once. Every redemption has an index for life; a settled index is refused.
/// - One history. A batch names the batch before it; a sender that has missed one can settle nothing.
/// - No custody. Payouts move from the treasury to the payee, and the balances of both change by exactly the payout; the
///   treasury's allowance bounds what can ever leave.
/// - Bounded. A limit in any 24 hours, a floor and a ceiling for the price of a share, and a pause.
/// - To the right account. Where payees are restricted, an item pays its investor or an account that the investor or the
///   owner has permitted for it, so a stolen operator key has nobody else to pay.
///
/// Where this departs from the plain reading of the design, and why:
///
/// - Amounts above 2^128 - 1, indexes above 2^62 - 1 and addresses wider than 160 bits are `InvalidItem`. No fund comes
///   near, and no product in the checks can overflow, so a hostile amount skips its item and cannot revert the batch.
/// - The settler itself as investor or payee is `InvalidItem`: nothing may rest here. So is either of the two tokens,
///   where shares or payouts would be lost.
/// - The chain knows a redemption by its index. That one redemption id keeps one index is the book's rule; were it
///   broken, the 24-hour limit and the burn of the shares still bound the harm.
/// - Non-zero return values of a token all count as success, since the balances are verified afterwards.
/// - A token call that fails without data and leaves less than 1/16 of `itemGasLimit` is reported as
///   `ItemOutOfGas`; from outside it cannot be told from an invalid opcode.
/// - The hourly window behind the 24-hour limit reaches back 24 to 25 hours, so the limit is never exceeded and what
///   was paid may count for up to an hour longer than a day.
/// - The burn is verified by the investor's balance before and after, not by the supply. One reading of the supply
///   would be cheaper, and would accept shares burned from somebody else; that the shares leave existence and do not
///   merely leave the investor is what the fund trusts its token with.
/// - The index bits of a batch are written once per 256 indexes, after the items that set them. A call back into the
///   settler meanwhile is refused, `isSettled` and `payoutAvailable` included, so none can see or use an old bit.
/// - The treasury's balance is read once in a batch before the first payout and after every payout: what one item leaves
///   is what the next starts from. Whatever else moves the treasury's payout tokens within the frame of an item, a token
///   that calls back included, makes that item `PayoutNotExact`.
/// - Tokens sent here by mistake are lost; a way to take them out would be a way to take things out.
interface IRedemptionSettler is ISettlerControls {
    /// @notice How the fund token takes shares out of existence.
    /// `Burn` burn(address,uint256); `BurnWithReason` burn(address,uint256,string) and `BurnWithData`
    /// burn(address,uint256,bytes), both given the 32 bytes of the redemption id; `BurnFrom`
    /// burnFrom(address,uint256); `AdminBurn` adminBurn(address,uint256); `Escrow` transferFrom(investor, settler)
    /// and burn(uint256) in one frame. `BurnFrom` and `Escrow` need the investor's allowance to the settler.
    enum BurnStyle {
        Burn,
        BurnWithReason,
        BurnWithData,
        BurnFrom,
        AdminBurn,
        Escrow
    }

    /// @notice Why an item was left out of a batch.
    enum SkipReason {
        None, // settled
        AlreadySettled, // the index was settled before, or earlier in this batch
        InvalidItem, // a zero or too large field; an account that is the settler or a token; or the payee is the treasury
        PriceAboveCeiling, // payout per share above the ceiling
        DailyLimitExceeded, // the 24-hour limit has no room for the payout now
        BurnFailed, // the fund token refused; its words are in the detail
        BurnNotExact, // the investor's balance did not fall by exactly the shares, or shares came to rest here
        PayoutFailed, // the payout token refused; its words are in the detail
        PayoutNotExact, // the payee's balance did not rise, or the treasury's not fall, by exactly the payout
        ItemOutOfGas, // the item needs more than itemGasLimit
        PayeeNotPermitted, // payees are restricted, and this one is neither the investor nor permitted for it
        PriceBelowFloor // payout below floor(shares * floorPrice / one whole share)
    }

    /// @notice One redemption to settle.
    struct Item {
        bytes32 redemptionId; // the order, the same on every settler the fund ever has
        uint256 index; // given to the redemption once, for ever; below 2^62
        address investor; // whose shares are burned
        address payee; // who is paid
        uint256 shares; // in share base units
        uint256 payout; // in payout base units
    }

    /// @notice What one item is settled with.
    struct Frame {
        Item item;
        uint256 floorPrice; // in force for the batch
        uint256 ceilingPrice; // in force for the batch
        uint256 payoutLeft; // what the 24-hour limit still allows
        uint256 treasuryHeld; // the treasury's payout tokens before the item, or the highest number to have them read
    }

    /// @notice What a preview found for one item.
    struct Outcome {
        bytes32 redemptionId;
        SkipReason reason;
        uint256 gasUsed; // of this item inside the batch, without its share of the transaction's fixed cost
        bytes detail; // the token's own words, cut to 256 bytes
    }

    /// @notice What a settler is deployed with. Only the three bounds can change afterwards.
    struct Settings {
        address shareToken;
        address payoutToken;
        address treasury; // approves this settler to take payouts
        BurnStyle burnStyle;
        uint256 dailyPayoutLimit; // payout base units in any 24 hours
        uint256 floorPrice; // payout base units per one whole share (10**shareDecimals base units); zero for none
        uint256 ceilingPrice; // the same; never below the floor
        uint256 itemGasLimit; // gas one item may use, 100,000 to 10,000,000
        uint48 changeDelay; // seconds a loosening change waits, one hour to 30 days
        bool restrictPayees; // an item's payee must be its investor, or permitted for it
        address predecessor; // the settler that this one takes over from, for the same two tokens; zero for none
    }

    /// @notice The investor's shares were burned and the payee was paid.
    event RedemptionSettled(
        bytes32 indexed redemptionId,
        address indexed investor,
        address indexed payee,
        uint256 index,
        uint256 shares,
        uint256 payout
    );

    /// @notice Nothing happened for this item; it may be sent again in a later batch.
    event RedemptionSkipped(bytes32 indexed redemptionId, uint256 index, SkipReason reason, bytes detail);

    /// @notice A batch ended, and the ratchet stands at `batchHash`.
    event BatchSettled(
        bytes32 indexed batchHash, bytes32 indexed previousBatchHash, uint256 settledCount, uint256 skippedCount
    );

    /// @notice The batch does not follow the last one: replay what was missed from the events, then send again.
    error BatchHashMismatch(bytes32 current, bytes32 given);

    /// @notice The answer of `preview`, in the order of its items.
    error PreviewResult(Outcome[] outcomes);

    /// @notice The transaction's gas cannot carry the next item to its full gas limit and the batch to its end.
    /// Nothing was settled; send again with more gas or fewer items.
    error GasTooLow(uint256 available, uint256 needed);

    /// @notice A batch holds at least one item.
    error EmptyBatch();

    /// @notice `settleOneAlone` is the settler's own call frame, for nobody else.
    error NotSelf(address caller);

    /// @notice How the frame of an item ends when it is left out; seen from outside only in traces.
    error ItemReverted(SkipReason reason, bytes detail);

    /// @notice The share token and the payout token are one, or the treasury is the settler.
    error ConflictingAddresses(address first, address second);

    /// @notice There is no contract at a token's address.
    error NotAContract(address account);

    /// @notice The predecessor named is no settler for the same two tokens.
    error NotAPredecessor(address account);

    /// @notice Settles the items in order. An item that cannot be settled is skipped with its reason in an event and
    /// the rest go on; a batch of nothing but skipped items still advances the ratchet. Operator only.
    /// @param previousBatchHash the hash of the last batch, zero for the first.
    /// @return newBatchHash keccak256(abi.encode(previousBatchHash, keccak256(abi.encode(items)))).
    function settle(bytes32 previousBatchHash, Item[] calldata items) external returns (bytes32 newBatchHash);

    /// @notice Runs the items against the present state without role and ratchet, and always reverts: with
    /// `PreviewResult`, or with `SettlerPaused`, `EmptyBatch` or `GasTooLow` as `settle` would. For `eth_call`.
    function preview(Item[] calldata items) external;

    /// @notice One item in its own call frame: everything but the index bit, which is the batch's. Only the settler
    /// itself can call it. It is the function called most, and under this name its selector is the lowest of all, which
    /// the compiled search finds first: another name would cost every redemption up to 500 gas. It is payable only because
    /// the check that it is not costs gas; nobody pays it, and the settler has no coins to give it.
    /// @return treasuryHeldAfter the treasury's payout tokens after the item.
    function settleOneAlone(Frame calldata frame) external payable returns (uint256 treasuryHeldAfter);

    /// @notice The hash the next batch must name as its previous one.
    function batchHash() external view returns (bytes32);

    /// @notice Whether the redemption with this index has been settled here. Refused while a batch is being settled.
    function isSettled(uint256 index) external view returns (bool);

    /// @notice What the 24-hour limit still allows now, in payout base units. Refused while a batch is being settled.
    function payoutAvailable() external view returns (uint256);

    function shareToken() external view returns (address);

    function payoutToken() external view returns (address);

    function treasury() external view returns (address);

    function burnStyle() external view returns (BurnStyle);

    /// @notice Gas one item may use.
    function itemGasLimit() external view returns (uint256);

    /// @notice The settler that this one takes over from; zero for none. It says where else payments of this fund are
    /// recorded and gives no right: this settler's own bits and limits begin empty.
    function predecessor() external view returns (address);
}
