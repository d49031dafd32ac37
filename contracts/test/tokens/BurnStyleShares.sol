// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A share token anybody can mint and burn, for tests; each heir has one burn function a fund token may have.
abstract contract TestShare is ERC20("Test Share", "TST") {
    function mint(address account, uint256 shares) external {
        _mint(account, shares);
    }
}

contract BurnShare is TestShare {
    function burn(address account, uint256 shares) external {
        _burn(account, shares);
    }
}

contract BurnWithReasonShare is TestShare {
    event Burned(address indexed account, uint256 shares, string reason);

    function burn(address account, uint256 shares, string calldata reason) external {
        emit Burned(account, shares, reason);
        _burn(account, shares);
    }
}

contract BurnWithDataShare is TestShare {
    event Burned(address indexed account, uint256 shares, bytes data);

    function burn(address account, uint256 shares, bytes calldata data) external {
        emit Burned(account, shares, data);
        _burn(account, shares);
    }
}

contract BurnFromShare is TestShare {
    function burnFrom(address account, uint256 shares) external {
        _spendAllowance(account, msg.sender, shares);
        _burn(account, shares);
    }
}

contract AdminBurnShare is TestShare {
    function adminBurn(address account, uint256 shares) external returns (bool) {
        _burn(account, shares);
        return true;
    }
}

contract EscrowShare is TestShare {
    function burn(uint256 shares) external {
        _burn(msg.sender, shares);
    }
}

/// @notice A share token that refuses in words of its own, which no library has.
contract LockableShare is TestShare {
    struct Lock {
        uint64 untilSeconds;
        string why;
    }

    mapping(address account => Lock) public locks;

    error HolderLockedFor(address holder, Lock lock);

    function setLock(address account, uint64 untilSeconds, string calldata why) external {
        locks[account] = Lock(untilSeconds, why);
    }

    function burn(address account, uint256 shares) external {
        if (locks[account].untilSeconds != 0) revert HolderLockedFor(account, locks[account]);
        _burn(account, shares);
    }
}
