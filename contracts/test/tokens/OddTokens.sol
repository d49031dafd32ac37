// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Base of the odd tokens: anybody mints; usable as the share token (`burn(address,uint256)`) and as the payout
/// token alike. For tests only.
abstract contract OddToken is ERC20("Odd Token", "ODD") {
    function mint(address account, uint256 value) external {
        _mint(account, value);
    }

    function burn(address account, uint256 value) external virtual {
        _burn(account, value);
    }
}

/// @notice Answers `false` and moves nothing.
contract ReturnsFalseToken is ERC20("Returns False", "FALSE") {
    function mint(address account, uint256 value) external {
        _mint(account, value);
    }

    function burn(address, uint256) external pure returns (bool) {
        return false;
    }

    function transfer(address, uint256) public pure override returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @notice Keeps one percent of every transfer, and burns one percent too much.
contract FeeTakingToken is OddToken {
    address public constant FEE_COLLECTOR = address(0xFEE);

    function burn(address account, uint256 value) external override {
        _burn(account, value + value / 100);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0) || to == address(0)) return super._update(from, to, value);
        uint256 fee = value / 100;
        super._update(from, FEE_COLLECTOR, fee);
        super._update(from, to, value - fee);
    }
}

/// @notice Takes half of every transfer from the sender, on top of what the receiver gets.
contract SenderFeeToken is OddToken {
    address public constant FEE_COLLECTOR = address(0xFEE);

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(from, FEE_COLLECTOR, value / 2);
    }
}

/// @notice Gives every sender back what it paid, so that the receiver's tokens come out of nothing.
contract SelfFillingToken is OddToken {
    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) _mint(from, value);
    }
}

/// @notice Its balances become unreadable for one account once that account has been paid from.
contract ForgetfulToken is OddToken {
    address private _forgotten;

    function forget(address account) external {
        _forgotten = account;
    }

    function balanceOf(address account) public view override returns (uint256) {
        require(account != _forgotten, "forgotten");
        return super.balanceOf(account);
    }
}

/// @notice Burns the shares of whoever was minted the last ones, whomever it was told to burn from.
contract BurnsFromAnotherShare is OddToken {
    address private _last;

    function burn(address, uint256 value) external override {
        _burn(_last, value);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0)) _last = to;
        super._update(from, to, value);
    }
}

/// @notice Uses all gas it is given up when it touches a wasteful account.
contract GasBurningToken is OddToken {
    mapping(address account => bool wasteful) public isWasteful;

    function setWasteful(address account, bool wasteful) external {
        isWasteful[account] = wasteful;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (isWasteful[from] || isWasteful[to]) {
            uint256 waste;
            while (gasleft() > 0) ++waste;
        }
        super._update(from, to, value);
    }
}

/// @notice Makes a call of the tester's choice before every movement, once, and remembers how it went.
contract ReentrantToken is OddToken {
    address public target;
    bytes public callData;
    bool public called;
    bool public succeeded;
    bytes public answer;

    function setCallback(address target_, bytes calldata callData_) external {
        target = target_;
        callData = callData_;
        called = false;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (target != address(0) && !called) {
            called = true;
            (succeeded, answer) = target.call(callData);
        }
        super._update(from, to, value);
    }
}

/// @notice Refuses everything with ten kilobytes of revert data.
contract VerboseToken is OddToken {
    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0)) return super._update(from, to, value);
        bytes32 words = "refused, and at length refused";
        assembly ("memory-safe") {
            let data := mload(0x40)
            for { let offset := 0 } lt(offset, 10240) { offset := add(offset, 0x20) } {
                mstore(add(data, offset), words)
            }
            revert(data, 10240)
        }
    }
}

/// @notice Its balances can be made unreadable, or its shares come to rest with the burner.
contract MisbehavingShare is OddToken {
    bool public unreadable;

    function setUnreadable(bool unreadable_) external {
        unreadable = unreadable_;
    }

    /// @notice An escrow burn that burns nothing.
    function burn(uint256) external {}

    function balanceOf(address account) public view override returns (uint256) {
        require(!unreadable, "unreadable");
        return super.balanceOf(account);
    }
}
