"""What pyproject.toml cannot say: the artifacts in `abi/` ship as a folder of the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["settlement_node*"]), "settlement_node.chain.contracts.abi"],
    package_dir={"settlement_node.chain.contracts.abi": "abi"},
)
