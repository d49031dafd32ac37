// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFundToken} from "./interfaces/IFundToken.sol";
import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @title Reference share token of a fund
/// @notice For demonstrations, tests and funds without a token of their own. See the interface.
contract FundToken is IFundToken, ERC20, AccessControl, Pausable {
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    bytes32 public constant BURNER_ROLE = keccak256("BURNER_ROLE");
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");

    uint8 private immutable _decimals;

    uint256 private constant BARRED = 1 << 255;
    uint256 private constant PAUSED = 1 << 255;

    /// @dev The lower 255 bits are the balance. The highest is set while the account is barred: it was a permitted
    /// holder once and is one no longer. Whoever holds shares was permitted when receiving them, so this bit alone
    /// says whether they may leave, and a redemption reads no slot beyond the balance it changes.
    struct Holding {
        uint256 word;
    }

    /// @inheritdoc IFundToken
    mapping(address account => bool permitted) public isPermitted;

    mapping(address account => Holding) private _holdings;

    /// @dev The lower 255 bits are the supply. The highest is set while the token is paused: minting and burning change
    /// this slot anyway, so they read no other for the pause.
    uint256 private _supply;

    /// @param admin grants and revokes the roles and starts with all of them but the burner's.
    constructor(string memory name_, string memory symbol_, uint8 decimals_, address admin) ERC20(name_, symbol_) {
        _decimals = decimals_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(MINTER_ROLE, admin);
        _grantRole(PAUSER_ROLE, admin);
        _grantRole(REGISTRAR_ROLE, admin);
    }

    /// @inheritdoc IFundToken
    function mint(address account, uint256 shares) external onlyRole(MINTER_ROLE) {
        _mint(account, shares);
    }

    /// @inheritdoc IFundToken
    /// @dev In one piece and not by way of `_update`: it is called for every redemption.
    function burn(address account, uint256 shares) external {
        if (!hasRole(BURNER_ROLE, msg.sender)) revert AccessControlUnauthorizedAccount(msg.sender, BURNER_ROLE);
        uint256 supply = _supply;
        if (supply >= PAUSED) revert EnforcedPause();
        Holding storage holding = _holdings[account];
        uint256 held = holding.word;
        if (held >= BARRED) revert HolderNotPermitted(account);
        if (held < shares) revert ERC20InsufficientBalance(account, held, shares);
        unchecked {
            // The supply is the sum of all balances.
            holding.word = held - shares;
            _supply = supply - shares;
        }
        emit Transfer(account, address(0), shares);
    }

    /// @inheritdoc IFundToken
    function setPermitted(address account, bool permitted) external onlyRole(REGISTRAR_ROLE) {
        uint256 held = balanceOf(account);
        isPermitted[account] = permitted;
        _holdings[account].word = permitted ? held : held | BARRED;
        emit HolderPermitted(account, permitted);
    }

    /// @inheritdoc IFundToken
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @inheritdoc IFundToken
    function unpause() external onlyRole(PAUSER_ROLE) {
        _unpause();
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public view override(ERC20, IERC20Metadata) returns (uint8) {
        return _decimals;
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) public view override(ERC20, IERC20) returns (uint256) {
        return _holdings[account].word & ~BARRED;
    }

    /// @inheritdoc IERC20
    function totalSupply() public view override(ERC20, IERC20) returns (uint256) {
        return _supply & ~PAUSED;
    }

    /// @inheritdoc Pausable
    function paused() public view override returns (bool) {
        return _supply >= PAUSED;
    }

    function _pause() internal override whenNotPaused {
        _supply |= PAUSED;
        emit Paused(msg.sender);
    }

    function _unpause() internal override whenPaused {
        _supply &= ~PAUSED;
        emit Unpaused(msg.sender);
    }

    /// @dev Mints and transfers, in place of OpenZeppelin's bookkeeping, with the same errors and event.
    function _update(address from, address to, uint256 shares) internal override whenNotPaused {
        if (from == address(0)) {
            if (shares >= BARRED - _supply) revert SupplyTooLarge(shares);
            _supply += shares;
        } else {
            Holding storage holding = _holdings[from];
            uint256 held = holding.word;
            if (held >= BARRED) revert HolderNotPermitted(from);
            if (held < shares) revert ERC20InsufficientBalance(from, held, shares);
            unchecked {
                holding.word = held - shares;
            }
        }
        if (!isPermitted[to]) revert HolderNotPermitted(to);
        unchecked {
            // No balance can pass the supply, and the supply never reaches the highest bit.
            _holdings[to].word += shares;
        }
        emit Transfer(from, to, shares);
    }
}
