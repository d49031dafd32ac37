// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The cheat codes of the test runner that these tests use, declared here so that no test library is needed.
interface Vm {
    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    /// @dev The next call, and only it, comes from `sender`.
    function prank(address sender) external;

    /// @dev The next call must revert with exactly these bytes.
    function expectRevert(bytes calldata revertData) external;

    /// @dev The next call must emit the event that is emitted after this line.
    function expectEmit(address emitter) external;

    /// @dev Deploys a contract from its artifact, named `File.sol:Contract`.
    function deployCode(string calldata artifact, bytes calldata constructorArguments)
        external
        returns (address deployed);

    /// @dev The creation code of an artifact, named `File.sol:Contract`.
    function getCode(string calldata artifact) external view returns (bytes memory creationCode);

    function warp(uint256 timestamp) external;

    function addr(uint256 privateKey) external pure returns (address);

    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);

    /// @dev What the last call cost; in isolation that call was a transaction of its own.
    function lastCallGas() external view returns (Gas memory gas);

    function assertTrue(bool condition, string calldata what) external pure;

    function assertEq(uint256 left, uint256 right, string calldata what) external pure;

    function assertEq(address left, address right, string calldata what) external pure;

    function assertEq(bytes32 left, bytes32 right, string calldata what) external pure;

    function assertEq(bytes calldata left, bytes calldata right, string calldata what) external pure;

    function assertLe(uint256 left, uint256 right, string calldata what) external pure;
}
