// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A share token with the questions of CMTAT, versions 2 and 3, under their signatures, and a burn that asks
/// none of them, as a forced burn does. Our own: no package ships the real one. For tests only.
contract CmtatLikeShare is ERC20("Cmtat Like", "CMTAT") {
    uint8 private constant NO_RESTRICTION = 0;
    uint8 private constant FROM_FROZEN = 2;

    bool public paused;
    bool public deactivated;
    mapping(address account => bool) public frozen;

    function mint(address account, uint256 value) external {
        _mint(account, value);
    }

    function burn(address account, uint256 value) external {
        _burn(account, value);
    }

    function setPaused(bool value) external {
        paused = value;
    }

    function deactivateContract() external {
        deactivated = true;
    }

    function setAddressFrozen(address account, bool value) external {
        frozen[account] = value;
    }

    function canTransfer(address from, address to, uint256 value) external view returns (bool) {
        return detectTransferRestriction(from, to, value) == NO_RESTRICTION;
    }

    function detectTransferRestriction(address from, address to, uint256) public view returns (uint8) {
        return frozen[from] || frozen[to] ? FROM_FROZEN : NO_RESTRICTION;
    }
}

/// @notice A payout token with the block list of Tether's token on Ethereum: a blocked payer cannot pay, a blocked
/// payee is paid; transfers return nothing. Our own: no package ships the real one. For tests only.
contract UsdtLikeToken {
    uint8 public constant decimals = 6;
    string public constant name = "Usdt Like";
    string public constant symbol = "USDT";

    uint256 public totalSupply;
    bool public paused;
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    mapping(address account => bool) public isBlackListed;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function mint(address account, uint256 value) external {
        totalSupply += value;
        balanceOf[account] += value;
        emit Transfer(address(0), account, value);
    }

    function setPaused(bool value) external {
        paused = value;
    }

    function setBlackListed(address account, bool value) external {
        isBlackListed[account] = value;
    }

    function getBlackListStatus(address account) external view returns (bool) {
        return isBlackListed[account];
    }

    function approve(address spender, uint256 value) external {
        allowance[msg.sender][spender] = value;
    }

    function transferFrom(address from, address to, uint256 value) external {
        require(!paused);
        require(!isBlackListed[from]);
        allowance[from][msg.sender] -= value;
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}
