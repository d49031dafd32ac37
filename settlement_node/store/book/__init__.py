"""The book proper: funds and their terms, redemptions, the ledger."""
