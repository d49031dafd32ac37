// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlerControls} from "./interfaces/ISettlerControls.sol";

/// @title The people and the bounds around a settler
/// @notice See the interface for the rules.
abstract contract SettlerControls is ISettlerControls {
    uint256 internal constant AMOUNT_MAX = type(uint128).max;
    uint256 private constant CHANGE_DELAY_MIN = 1 hours;
    uint256 private constant CHANGE_DELAY_MAX = 30 days;
    uint256 private constant PROPOSAL_GRACE = 14 days;

    struct ProposedAccount {
        address account;
        uint48 acceptableAt;
    }

    struct ProposedValue {
        uint256 value;
        uint48 applicableAt;
    }

    /// @inheritdoc ISettlerControls
    uint256 public immutable changeDelay;

    /// @inheritdoc ISettlerControls
    bool public immutable restrictPayees;

    /// @dev The operator and the pause are in one slot, the limit and the ceiling in another: every batch reads them all,
    /// and the floor.
    address private _operator;

    /// @inheritdoc ISettlerControls
    bool public paused;

    uint128[3] private _bounds;
    address private _owner;
    address private _guardian;
    mapping(Role => ProposedAccount) private _proposedAccounts;
    mapping(Bound => ProposedValue) private _proposedValues;
    mapping(address investor => mapping(address payee => bool)) private _permittedPayees;

    modifier onlyOwner() {
        if (msg.sender != owner()) revert NotOwner(msg.sender);
        _;
    }

    modifier onlyOwnerOrGuardian() {
        if (msg.sender != owner() && msg.sender != guardian()) revert NotOwnerOrGuardian(msg.sender);
        _;
    }

    modifier onlyOperator() {
        if (msg.sender != operator()) revert NotOperator(msg.sender);
        _;
    }

    modifier whenNotPaused() {
        if (paused) revert SettlerPaused();
        _;
    }

    constructor(
        address owner_,
        address operator_,
        address guardian_,
        uint256 changeDelay_,
        uint256 dailyPayoutLimit_,
        uint256 floorPrice_,
        uint256 ceilingPrice_,
        bool restrictPayees_
    ) {
        _checkRange("changeDelay", changeDelay_, CHANGE_DELAY_MIN, CHANGE_DELAY_MAX);
        changeDelay = changeDelay_;
        restrictPayees = restrictPayees_;
        _setHolder(Role.Owner, owner_);
        _setHolder(Role.Operator, operator_);
        _setHolder(Role.Guardian, guardian_);
        _checkRange("dailyPayoutLimit", dailyPayoutLimit_, 0, AMOUNT_MAX);
        _checkRange("floorPrice", floorPrice_, 0, AMOUNT_MAX);
        _checkRange("ceilingPrice", ceilingPrice_, 0, AMOUNT_MAX);
        _checkBand(floorPrice_, ceilingPrice_);
        _setBound(Bound.DailyPayoutLimit, dailyPayoutLimit_);
        _setBound(Bound.CeilingPrice, ceilingPrice_);
        _setBound(Bound.FloorPrice, floorPrice_);
        emit BoundNarrowed(Bound.DailyPayoutLimit, dailyPayoutLimit_, 0);
        emit BoundNarrowed(Bound.CeilingPrice, ceilingPrice_, 0);
        emit BoundNarrowed(Bound.FloorPrice, floorPrice_, 0);
    }

    /// @inheritdoc ISettlerControls
    function proposeRole(Role role, address account) external onlyOwner {
        if (account == address(0)) revert ZeroAddress();
        uint48 acceptableAt = _readyAt();
        _proposedAccounts[role] = ProposedAccount(account, acceptableAt);
        emit RoleProposed(role, account, acceptableAt);
    }

    /// @inheritdoc ISettlerControls
    function acceptRole(Role role) external {
        ProposedAccount memory proposal = _proposedAccounts[role];
        if (proposal.account == address(0)) revert NothingProposed();
        if (msg.sender != proposal.account) revert NotProposed(msg.sender, proposal.account);
        _checkRipe(proposal.acceptableAt);
        delete _proposedAccounts[role];
        // What the owner before has proposed is not the new one's wish.
        if (role == Role.Owner) _cancelAll();
        _setHolder(role, proposal.account);
    }

    /// @inheritdoc ISettlerControls
    function cancelRole(Role role) external onlyOwnerOrGuardian {
        // Or a guardian could stay for ever.
        if (role == Role.Guardian && msg.sender != owner()) revert NotOwner(msg.sender);
        if (_proposedAccounts[role].account == address(0)) revert NothingProposed();
        _cancelRole(role);
    }

    /// @inheritdoc ISettlerControls
    function revokeOperator() external onlyOwnerOrGuardian {
        address account = operator();
        if (account == address(0)) revert ZeroAddress();
        delete _operator;
        emit OperatorRevoked(account, msg.sender);
        _cancelRole(Role.Operator);
        _cancelWidenings();
    }

    /// @inheritdoc ISettlerControls
    function narrowBound(Bound bound, uint256 value) external onlyOwner {
        uint256 current = _bound(bound);
        if (bound == Bound.FloorPrice ? value <= current : value >= current) revert NotNarrower(value, current);
        if (bound == Bound.FloorPrice) _checkBand(value, ceilingPrice());
        if (bound == Bound.CeilingPrice) _checkBand(floorPrice(), value);
        _cancelWidening(bound);
        _setBound(bound, value);
        emit BoundNarrowed(bound, value, current);
    }

    /// @inheritdoc ISettlerControls
    function proposeWidening(Bound bound, uint256 value) external onlyOwner {
        _checkRange("bound", value, 0, AMOUNT_MAX);
        uint256 current = _bound(bound);
        if (bound == Bound.FloorPrice ? value >= current : value <= current) revert NotWider(value, current);
        uint48 applicableAt = _readyAt();
        _proposedValues[bound] = ProposedValue(value, applicableAt);
        emit WideningProposed(bound, value, applicableAt);
    }

    /// @inheritdoc ISettlerControls
    function applyWidening(Bound bound) external onlyOwner {
        ProposedValue memory proposal = _proposedValues[bound];
        if (proposal.applicableAt == 0) revert NothingProposed();
        _checkRipe(proposal.applicableAt);
        uint256 current = _bound(bound);
        delete _proposedValues[bound];
        _setBound(bound, proposal.value);
        emit BoundWidened(bound, proposal.value, current);
    }

    /// @inheritdoc ISettlerControls
    function cancelWidening(Bound bound) external onlyOwnerOrGuardian {
        if (_proposedValues[bound].applicableAt == 0) revert NothingProposed();
        _cancelWidening(bound);
    }

    /// @inheritdoc ISettlerControls
    function setPayeePermitted(address investor, address payee, bool permitted) external onlyOwner {
        _permitPayee(investor, payee, permitted);
    }

    /// @inheritdoc ISettlerControls
    function permitPayee(address payee, bool permitted) external {
        _permitPayee(msg.sender, payee, permitted);
    }

    /// @inheritdoc ISettlerControls
    function pause() external onlyOwnerOrGuardian whenNotPaused {
        paused = true;
        emit Paused(msg.sender);
    }

    /// @inheritdoc ISettlerControls
    function unpause() external onlyOwner {
        if (!paused) revert SettlerNotPaused();
        paused = false;
        emit Unpaused(msg.sender);
    }

    /// @inheritdoc ISettlerControls
    function proposedRole(Role role) external view returns (address account, uint48 acceptableAt) {
        ProposedAccount memory proposal = _proposedAccounts[role];
        return (proposal.account, proposal.acceptableAt);
    }

    /// @inheritdoc ISettlerControls
    function proposedWidening(Bound bound) external view returns (uint256 value, uint48 applicableAt) {
        ProposedValue memory proposal = _proposedValues[bound];
        return (proposal.value, proposal.applicableAt);
    }

    /// @inheritdoc ISettlerControls
    function isPayeePermitted(address investor, address payee) public view returns (bool) {
        return payee == investor || !restrictPayees || _permittedPayees[investor][payee];
    }

    /// @inheritdoc ISettlerControls
    function owner() public view returns (address) {
        return _owner;
    }

    /// @inheritdoc ISettlerControls
    function operator() public view returns (address) {
        return _operator;
    }

    /// @inheritdoc ISettlerControls
    function guardian() public view returns (address) {
        return _guardian;
    }

    /// @inheritdoc ISettlerControls
    function dailyPayoutLimit() public view returns (uint256) {
        return _bound(Bound.DailyPayoutLimit);
    }

    /// @inheritdoc ISettlerControls
    function ceilingPrice() public view returns (uint256) {
        return _bound(Bound.CeilingPrice);
    }

    /// @inheritdoc ISettlerControls
    function floorPrice() public view returns (uint256) {
        return _bound(Bound.FloorPrice);
    }

    function _checkRange(string memory setting, uint256 given, uint256 minimum, uint256 maximum) internal pure {
        if (given < minimum || given > maximum) revert SettingOutOfRange(setting, given, minimum, maximum);
    }

    function _setHolder(Role role, address account) private {
        if (account == address(0)) revert ZeroAddress();
        address previousAccount;
        if (role == Role.Owner) {
            (previousAccount, _owner) = (_owner, account);
        } else if (role == Role.Operator) {
            (previousAccount, _operator) = (_operator, account);
        } else {
            (previousAccount, _guardian) = (_guardian, account);
        }
        emit RoleAccepted(role, account, previousAccount);
    }

    function _permitPayee(address investor, address payee, bool permitted) private {
        if (investor == address(0) || payee == address(0)) revert ZeroAddress();
        if (payee == investor) revert PayeeIsInvestor(investor);
        _permittedPayees[investor][payee] = permitted;
        emit PayeePermitted(investor, payee, permitted);
    }

    /// @dev Nothing happens where nothing is proposed; so in the next one.
    function _cancelRole(Role role) private {
        address account = _proposedAccounts[role].account;
        if (account == address(0)) return;
        delete _proposedAccounts[role];
        emit RoleProposalCancelled(role, account, msg.sender);
    }

    function _cancelWidening(Bound bound) private {
        ProposedValue memory proposal = _proposedValues[bound];
        if (proposal.applicableAt == 0) return;
        delete _proposedValues[bound];
        emit WideningCancelled(bound, proposal.value, msg.sender);
    }

    function _cancelWidenings() private {
        _cancelWidening(Bound.DailyPayoutLimit);
        _cancelWidening(Bound.CeilingPrice);
        _cancelWidening(Bound.FloorPrice);
    }

    function _cancelAll() private {
        _cancelRole(Role.Owner);
        _cancelRole(Role.Operator);
        _cancelRole(Role.Guardian);
        _cancelWidenings();
    }

    function _checkRipe(uint256 readyAt) private view {
        if (block.timestamp < readyAt) revert DelayNotPassed(readyAt, block.timestamp);
        if (block.timestamp >= readyAt + PROPOSAL_GRACE) {
            revert ProposalExpired(readyAt + PROPOSAL_GRACE, block.timestamp);
        }
    }

    function _checkBand(uint256 floor, uint256 ceiling) private pure {
        if (floor > ceiling) revert FloorAboveCeiling(floor, ceiling);
    }

    /// @dev Every value has been checked against `AMOUNT_MAX`, or is below one that was.
    function _setBound(Bound bound, uint256 value) private {
        _bounds[uint256(bound)] = uint128(value);
    }

    function _bound(Bound bound) private view returns (uint256) {
        return _bounds[uint256(bound)];
    }

    function _readyAt() private view returns (uint48) {
        return uint48(block.timestamp + changeDelay);
    }
}
