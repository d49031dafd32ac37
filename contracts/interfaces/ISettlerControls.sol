// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The people and the bounds around a settler
/// @notice Who may do what, how those people are replaced, and how far the operator's key reaches.
///
/// The rule throughout: what makes the settler stricter takes effect at once, what makes it looser waits
/// `changeDelay` seconds in public view and can be cancelled meanwhile. The permission of a payee is the exception: it
/// takes effect at once, since it lets out no more than the bounds allow and an order need not wait days for it.
///
/// - The owner names people, moves the bounds, permits payees and lifts a pause.
/// - The operator settles batches. Its key is online, so it is the one the bounds are there for.
/// - The guardian stops things: it pauses, cancels what is waiting and dismisses the operator. It starts nothing.
///
/// A guardian that turns bad can hold up every change, its own replacement included; it cannot move money.
/// The way out is a new settler and the treasury's allowance taken back from this one.
/// Nothing forces the three to be different accounts; where they are one, the delays protect nobody.
interface ISettlerControls {
    enum Role {
        Owner,
        Operator,
        Guardian
    }

    enum Bound {
        DailyPayoutLimit,
        CeilingPrice
    }

    /// @notice An account was proposed for a role and may accept it from `acceptableAt` (Unix seconds) on.
    event RoleProposed(Role indexed role, address indexed account, uint48 acceptableAt);

    /// @notice The proposed account took the role over from `previousAccount`. Also emitted at deployment.
    event RoleAccepted(Role indexed role, address indexed account, address indexed previousAccount);

    /// @notice A proposal was withdrawn by `cancelledBy`.
    event RoleProposalCancelled(Role indexed role, address indexed account, address indexed cancelledBy);

    /// @notice The operator was dismissed by `revokedBy`; nothing can be settled until another accepts the role.
    event OperatorRevoked(address indexed account, address indexed revokedBy);

    /// @notice A bound was lowered with immediate effect. Also emitted at deployment, with `previousValue` zero.
    event BoundLowered(Bound indexed bound, uint256 value, uint256 previousValue);

    /// @notice A higher bound was proposed and may be applied from `applicableAt` (Unix seconds) on.
    event BoundRaiseProposed(Bound indexed bound, uint256 value, uint48 applicableAt);

    /// @notice A proposed higher bound took effect.
    event BoundRaised(Bound indexed bound, uint256 value, uint256 previousValue);

    /// @notice A proposed higher bound was withdrawn, on its own or because the bound was lowered meanwhile.
    event BoundRaiseCancelled(Bound indexed bound, uint256 value, address indexed cancelledBy);

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

    /// @notice `lowerBound` needs a value below the present one.
    error NotLower(uint256 given, uint256 current);

    /// @notice `proposeRaise` needs a value above the present one.
    error NotHigher(uint256 given, uint256 current);

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

    /// @notice Takes the role over, once the delay has passed. Only the proposed account.
    function acceptRole(Role role) external;

    /// @notice Withdraws a proposal. Owner or guardian.
    function cancelRole(Role role) external;

    /// @notice Dismisses the operator at once. Owner or guardian. A waiting proposal for the role stays.
    function revokeOperator() external;

    /// @notice Lowers a bound at once and withdraws a waiting raise of it. Owner only.
    function lowerBound(Bound bound, uint256 value) external;

    /// @notice Proposes a higher bound; a later proposal replaces an earlier one and waits anew. Owner only.
    function proposeRaise(Bound bound, uint256 value) external;

    /// @notice Puts a proposed higher bound into effect, once the delay has passed. Owner only.
    function applyRaise(Bound bound) external;

    /// @notice Withdraws a proposed higher bound. Owner or guardian.
    function cancelRaise(Bound bound) external;

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

    /// @notice The account proposed for a role and when it may accept; zeros when there is none.
    function proposedRole(Role role) external view returns (address account, uint48 acceptableAt);

    /// @notice The higher bound proposed and when it may be applied; zeros when there is none.
    function proposedRaise(Bound bound) external view returns (uint256 value, uint48 applicableAt);

    /// @notice The most that may leave the treasury in any 24 hours, in payout base units.
    function dailyPayoutLimit() external view returns (uint256);

    /// @notice The highest price the settler pays, in payout base units per one whole share.
    function ceilingPrice() external view returns (uint256);
}
