// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The people and the bounds around a settler
/// @notice Who may do what, how those people are replaced, and how far the operator's key reaches.
///
/// The rule throughout: what makes the settler stricter takes effect at once, what makes it looser waits
/// `changeDelay` seconds in public view and can be cancelled meanwhile. The permission of a payee is the exception: it
/// takes effect at once, since it lets out no more than the bounds allow and an order need not wait days for it.
///
/// A proposal may be taken up for 14 days once its delay has passed, and not after. It is void when the ownership it was
/// made under changes hands; one for the operator's role, and one for a wider bound, also when the operator is dismissed:
/// whoever dismisses has a whole delay before anybody can settle again, or settle more. A pause voids nothing.
///
/// - The owner names people, moves the bounds, permits payees and lifts a pause.
/// - The operator settles batches. Its key is online, so it is the one the bounds are there for.
/// - The guardian stops things: it pauses, cancels what is waiting and dismisses the operator. It starts nothing.
///
/// A guardian that turns bad can hold up every change but its own replacement; it cannot move money. An owner that turns
/// bad is held up by the guardian until it has replaced it, which takes one delay, and then needs another: time for the
/// treasury to take its allowance back.
/// Nothing forces the three to be different accounts; where they are one, the delays protect nobody.
interface ISettlerControls {
    enum Role {
        Owner,
        Operator,
        Guardian
    }

    enum Bound {
        DailyPayoutLimit,
        CeilingPrice,
        FloorPrice
    }

    /// @notice An account was proposed for a role and may accept it from `acceptableAt` (Unix seconds) on.
    event RoleProposed(Role indexed role, address indexed account, uint48 acceptableAt);

    /// @notice The proposed account took the role over from `previousAccount`. Also emitted at deployment.
    event RoleAccepted(Role indexed role, address indexed account, address indexed previousAccount);

    /// @notice A proposal was withdrawn by `cancelledBy`: on its own, or because the operator was dismissed or the owner
    /// replaced meanwhile.
    event RoleProposalCancelled(Role indexed role, address indexed account, address indexed cancelledBy);

    /// @notice The operator was dismissed by `revokedBy`; nothing can be settled until another accepts the role.
    event OperatorRevoked(address indexed account, address indexed revokedBy);

    /// @notice A bound was made narrower with immediate effect: the limit or the ceiling lowered, the floor raised. Also
    /// emitted at deployment, with `previousValue` zero.
    event BoundNarrowed(Bound indexed bound, uint256 value, uint256 previousValue);

    /// @notice A wider bound was proposed and may be applied from `applicableAt` (Unix seconds) on.
    event WideningProposed(Bound indexed bound, uint256 value, uint48 applicableAt);

    /// @notice A proposed wider bound took effect.
    event BoundWidened(Bound indexed bound, uint256 value, uint256 previousValue);

    /// @notice A proposed wider bound was withdrawn: on its own, or because the bound was narrowed, the operator
    /// dismissed or the owner replaced meanwhile.
    event WideningCancelled(Bound indexed bound, uint256 value, address indexed cancelledBy);

    /// @notice From now on an item of the investor may, or may no longer, name this payee.
    event PayeePermitted(address indexed investor, address indexed payee, bool permitted);

    /// @notice Settling was stopped.
    event Paused(address indexed pausedBy);

    /// @notice Settling was allowed again.
    event Unpaused(address indexed unpausedBy);

    /// @notice Only the owner may do this.
    error NotOwner(address caller);

    /// @notice Only the operator may do this.
    error NotOperator(address caller);

    /// @notice Only the owner or the guardian may do this.
    error NotOwnerOrGuardian(address caller);

    /// @notice Only the account proposed for the role may accept it.
    error NotProposed(address caller, address proposed);

    /// @notice There is no such proposal to accept, apply or cancel.
    error NothingProposed();

    /// @notice The proposal's delay has not passed: it can be taken up at `readyAt` (Unix seconds).
    error DelayNotPassed(uint256 readyAt, uint256 timestamp);

    /// @notice The proposal's time to be taken up ended at `expiredAt` (Unix seconds): it must be made again.
    error ProposalExpired(uint256 expiredAt, uint256 timestamp);

    /// @notice `narrowBound` needs a limit or a ceiling below the present one, or a floor above it.
    error NotNarrower(uint256 given, uint256 current);

    /// @notice `proposeWidening` needs a limit or a ceiling above the present one, or a floor below it.
    error NotWider(uint256 given, uint256 current);

    /// @notice No price would be left between the two.
    error FloorAboveCeiling(uint256 floor, uint256 ceiling);

    /// @notice The settler is paused.
    error SettlerPaused();

    /// @notice The settler is not paused, so there is nothing to lift.
    error SettlerNotPaused();

    /// @notice An account or a token address is missing.
    error ZeroAddress();

    /// @notice An investor is always permitted as its own payee, and this cannot be changed.
    error PayeeIsInvestor(address account);

    /// @notice A number of the deployment is outside the range the arithmetic or the promise above allows.
    error SettingOutOfRange(string setting, uint256 given, uint256 minimum, uint256 maximum);

    /// @notice Proposes an account for a role; a later proposal replaces an earlier one and waits anew. Owner only.
    function proposeRole(Role role, address account) external;

    /// @notice Takes the role over, once the delay has passed and until the proposal expires. Only the proposed account.
    /// A new owner starts without any proposal: those of the one before are withdrawn.
    function acceptRole(Role role) external;

    /// @notice Withdraws a proposal. Owner or guardian; for the guardian's own role the owner only.
    function cancelRole(Role role) external;

    /// @notice Dismisses the operator at once, and withdraws a waiting proposal for the role and every waiting widening.
    /// Owner or guardian.
    function revokeOperator() external;

    /// @notice Lowers the limit or the ceiling, or raises the floor, at once, and withdraws a waiting widening of it. The
    /// floor never passes the ceiling. Owner only.
    function narrowBound(Bound bound, uint256 value) external;

    /// @notice Proposes a wider bound; a later proposal replaces an earlier one and waits anew. Owner only.
    function proposeWidening(Bound bound, uint256 value) external;

    /// @notice Puts a proposed wider bound into effect, once the delay has passed and until the proposal expires. Owner
    /// only.
    function applyWidening(Bound bound) external;

    /// @notice Withdraws a proposed wider bound. Owner or guardian.
    function cancelWidening(Bound bound) external;

    /// @notice Lets an investor's redemptions be paid to another account, or ends that, at once. Owner only. It is one
    /// permission for both: what the investor has said is replaced, and the investor may replace it again.
    function setPayeePermitted(address investor, address payee, bool permitted) external;

    /// @notice Lets the caller's own redemptions be paid to another account, or ends that, at once. Anybody, each for
    /// itself.
    function permitPayee(address payee, bool permitted) external;

    /// @notice Stops settling. Owner or guardian.
    function pause() external;

    /// @notice Allows settling again. Owner only.
    function unpause() external;

    function owner() external view returns (address);

    /// @notice The account that settles; the zero address after a dismissal.
    function operator() external view returns (address);

    function guardian() external view returns (address);

    function paused() external view returns (bool);

    /// @notice Whether an item may name no other payee than its investor and those permitted for it. For good.
    function restrictPayees() external view returns (bool);

    /// @notice Whether an item of the investor may name the payee: itself, one permitted for it, or anybody where payees
    /// are not restricted.
    function isPayeePermitted(address investor, address payee) external view returns (bool);

    /// @notice How long a loosening change waits, in seconds.
    function changeDelay() external view returns (uint256);

    /// @notice The account proposed for a role and from when it may accept, for 14 days; zeros when there is none. One
    /// that has expired stays here until it is withdrawn or replaced.
    function proposedRole(Role role) external view returns (address account, uint48 acceptableAt);

    /// @notice The wider bound proposed and from when it may be applied, for 14 days; zeros when there is none. One that
    /// has expired stays here until it is withdrawn or replaced.
    function proposedWidening(Bound bound) external view returns (uint256 value, uint48 applicableAt);

    /// @notice The most that may leave the treasury in any 24 hours, in payout base units.
    function dailyPayoutLimit() external view returns (uint256);

    /// @notice The highest price the settler pays, in payout base units per one whole share.
    function ceilingPrice() external view returns (uint256);

    /// @notice The lowest price the settler pays, in payout base units per one whole share; zero for none. It is held
    /// against what the payee gets, so after any fee. Since a payout is a whole number of base units, rounded down, so is
    /// the least one allowed: floor(shares * floorPrice / one whole share).
    function floorPrice() external view returns (uint256);
}
