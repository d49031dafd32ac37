CREATE TABLE alerts (
    alert_id INTEGER NOT NULL,
    kind VARCHAR(40) NOT NULL,
    subject VARCHAR(200) NOT NULL,
    detail VARCHAR(1000) NOT NULL,
    shortfall JSON,
    status VARCHAR(8) NOT NULL,
    raised_at_utc DATETIME NOT NULL,
    cleared_at_utc DATETIME,
    CONSTRAINT pk_alerts PRIMARY KEY (alert_id),
    CONSTRAINT ck_alerts_kind_known CHECK (kind IN ('gas_low', 'treasury_short', 'payout_limit_reached', 'fee_at_ceiling', 'transaction_stuck', 'endpoint_quarantined', 'endpoint_contradicted', 'endpoints_disagree', 'lane_paused', 'settler_paused', 'price_outside_band', 'chain_halted', 'signer_down', 'signer_refused', 'planning_refused', 'token_stopped', 'burn_refused', 'transaction_refused', 'lane_not_advancing', 'finality_stalled', 'reconciliation_stuck', 'orders_held', 'fund_paused', 'lane_not_held', 'reads_failing', 'consumer_behind')),
    CONSTRAINT ck_alerts_status_known CHECK (status IN ('open', 'cleared'))
);

CREATE UNIQUE INDEX uq_alerts_open ON alerts (kind, subject) WHERE status = 'open';

CREATE TABLE audit_events (
    audit_id INTEGER NOT NULL,
    at_utc DATETIME NOT NULL,
    actor VARCHAR(100) NOT NULL,
    action VARCHAR(60) NOT NULL,
    subject_kind VARCHAR(20) NOT NULL,
    subject_id VARCHAR(200) NOT NULL,
    detail JSON NOT NULL,
    CONSTRAINT pk_audit_events PRIMARY KEY (audit_id)
);

CREATE INDEX ix_audit_events_subject ON audit_events (subject_kind, subject_id, audit_id);

CREATE TABLE consumers (
    name VARCHAR(40) NOT NULL,
    last_event_id BIGINT NOT NULL,
    failures_count INTEGER NOT NULL,
    last_error VARCHAR(500),
    next_attempt_at_utc DATETIME,
    CONSTRAINT pk_consumers PRIMARY KEY (name),
    CONSTRAINT ck_consumers_last_event_id_range CHECK (last_event_id >= 0)
);

CREATE TABLE foreign_batches (
    chain_id BIGINT NOT NULL,
    settler_address VARCHAR(42) NOT NULL,
    batch_hash VARCHAR(66) NOT NULL,
    accepted_as VARCHAR(10),
    seen_at_utc DATETIME NOT NULL,
    accepted_at_utc DATETIME,
    CONSTRAINT pk_foreign_batches PRIMARY KEY (chain_id, settler_address, batch_hash),
    CONSTRAINT ck_foreign_batches_accepted_as_known CHECK (accepted_as IN ('history', 'restore', 'person')),
    CONSTRAINT ck_foreign_batches_accepted_has_time CHECK ((accepted_as IS NULL) = (accepted_at_utc IS NULL))
);

CREATE INDEX ix_foreign_batches_unexplained ON foreign_batches (chain_id, settler_address) WHERE accepted_as IS NULL;

CREATE TABLE funds (
    fund_id VARCHAR(64) NOT NULL,
    name VARCHAR(200) NOT NULL,
    chain_id BIGINT NOT NULL,
    share_token_address VARCHAR(42) NOT NULL,
    share_decimals INTEGER NOT NULL,
    payout_token_address VARCHAR(42) NOT NULL,
    payout_decimals INTEGER NOT NULL,
    settler_address VARCHAR(42) NOT NULL,
    treasury_address VARCHAR(42) NOT NULL,
    lane_address VARCHAR(42) NOT NULL,
    burn_style VARCHAR(20) NOT NULL,
    fee_bps INTEGER NOT NULL,
    nav_per_share VARCHAR(78),
    nav_decimals INTEGER NOT NULL,
    nav_at_utc DATETIME,
    next_redemption_index BIGINT NOT NULL,
    paused BOOLEAN NOT NULL,
    pause_reason VARCHAR(500),
    created_at_utc DATETIME NOT NULL,
    checks JSON NOT NULL,
    error_signatures JSON NOT NULL,
    share_supply_base_units VARCHAR(78),
    daily_limit_base_units VARCHAR(78),
    CONSTRAINT pk_funds PRIMARY KEY (fund_id),
    CONSTRAINT ck_funds_nav_per_share_range CHECK (nav_per_share >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND nav_per_share <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_funds_share_supply_base_units_range CHECK (share_supply_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND share_supply_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_funds_daily_limit_base_units_range CHECK (daily_limit_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND daily_limit_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_funds_fee_bps_range CHECK (fee_bps >= 0 AND fee_bps < 10000),
    CONSTRAINT uq_funds_chain_id_share_token_address UNIQUE (chain_id, share_token_address),
    CONSTRAINT ck_funds_burn_style_known CHECK (burn_style IN ('burn', 'burn_with_reason', 'burn_with_data', 'burn_from', 'admin_burn', 'escrow'))
);

CREATE TABLE heads (
    lane VARCHAR(80) NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash VARCHAR(66) NOT NULL,
    parent_hash VARCHAR(66) NOT NULL,
    timestamp_seconds BIGINT NOT NULL,
    is_final BOOLEAN NOT NULL,
    CONSTRAINT pk_heads PRIMARY KEY (lane, block_number)
);

CREATE TABLE idempotency_keys (
    client VARCHAR(64) NOT NULL,
    idempotency_key VARCHAR(200) NOT NULL,
    claim VARCHAR(32) NOT NULL,
    body_hash VARCHAR(66) NOT NULL,
    response_status INTEGER,
    response_body JSON,
    created_at_utc DATETIME NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (client, idempotency_key)
);

CREATE INDEX ix_idempotency_keys_created_at_utc ON idempotency_keys (created_at_utc);

CREATE TABLE lanes (
    chain_id BIGINT NOT NULL,
    signer_address VARCHAR(42) NOT NULL,
    next_nonce BIGINT,
    highest_head_number BIGINT,
    restored_from_nonce BIGINT,
    restored_below_nonce BIGINT,
    paused BOOLEAN NOT NULL,
    pause_reason VARCHAR(500),
    updated_at_utc DATETIME NOT NULL,
    CONSTRAINT pk_lanes PRIMARY KEY (chain_id, signer_address)
);

CREATE TABLE leases (
    name VARCHAR(80) NOT NULL,
    holder VARCHAR(100),
    holder_process VARCHAR(120),
    fencing_token BIGINT NOT NULL,
    expires_at_utc DATETIME NOT NULL,
    CONSTRAINT pk_leases PRIMARY KEY (name)
);

CREATE TABLE outbox (
    event_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    topic VARCHAR(60) NOT NULL,
    subject_id VARCHAR(200) NOT NULL,
    payload JSON NOT NULL,
    created_at_utc DATETIME NOT NULL
);

CREATE TABLE settler_events (
    chain_id BIGINT NOT NULL,
    transaction_hash VARCHAR(66) NOT NULL,
    log_index INTEGER NOT NULL,
    settler_address VARCHAR(42) NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash VARCHAR(66) NOT NULL,
    block_timestamp_seconds BIGINT,
    kind VARCHAR(10) NOT NULL,
    redemption_id VARCHAR(66),
    redemption_index BIGINT,
    investor_address VARCHAR(42),
    payee_address VARCHAR(42),
    shares_base_units VARCHAR(78),
    payout_base_units VARCHAR(78),
    skip_reason VARCHAR(40),
    detail VARCHAR(1024),
    batch_hash VARCHAR(66),
    previous_batch_hash VARCHAR(66),
    CONSTRAINT pk_settler_events PRIMARY KEY (chain_id, transaction_hash, log_index),
    CONSTRAINT ck_settler_events_shares_base_units_range CHECK (shares_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND shares_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_settler_events_payout_base_units_range CHECK (payout_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND payout_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_settler_events_kind_known CHECK (kind IN ('settled', 'skipped', 'batch'))
);

CREATE INDEX ix_settler_events_batch ON settler_events (batch_hash);

CREATE INDEX ix_settler_events_place ON settler_events (chain_id, settler_address, block_number, log_index);

CREATE INDEX ix_settler_events_previous ON settler_events (previous_batch_hash);

CREATE INDEX ix_settler_events_redemption ON settler_events (redemption_id);

CREATE TABLE transactions (
    transaction_id INTEGER NOT NULL,
    chain_id BIGINT NOT NULL,
    signer_address VARCHAR(42) NOT NULL,
    nonce BIGINT NOT NULL,
    to_address VARCHAR(42) NOT NULL,
    data BLOB NOT NULL,
    gas_limit BIGINT NOT NULL,
    status VARCHAR(10) NOT NULL,
    outcome VARCHAR(10),
    cancel_requested BOOLEAN NOT NULL,
    speed_up_requested BOOLEAN NOT NULL,
    displacement_accepted BOOLEAN NOT NULL,
    refused_words VARCHAR(300),
    deadline_block BIGINT,
    mined_attempt_hash VARCHAR(66),
    block_number BIGINT,
    block_hash VARCHAR(66),
    evm_succeeded BOOLEAN,
    gas_used BIGINT,
    effective_gas_price_wei VARCHAR(78),
    planned_at_utc DATETIME NOT NULL,
    first_sent_at_utc DATETIME,
    final_at_utc DATETIME,
    CONSTRAINT pk_transactions PRIMARY KEY (transaction_id),
    CONSTRAINT ck_transactions_effective_gas_price_wei_range CHECK (effective_gas_price_wei >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND effective_gas_price_wei <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT uq_transactions_chain_id_signer_address_nonce UNIQUE (chain_id, signer_address, nonce),
    CONSTRAINT ck_transactions_status_known CHECK (status IN ('planned', 'signed', 'sent', 'mined', 'final')),
    CONSTRAINT ck_transactions_nonce_range CHECK (nonce >= 0),
    CONSTRAINT ck_transactions_outcome_known CHECK (outcome IN ('succeeded', 'reverted', 'void')),
    CONSTRAINT ck_transactions_final_has_outcome CHECK ((status = 'final') = (outcome IS NOT NULL)),
    CONSTRAINT ck_transactions_mined_has_block CHECK (status NOT IN ('mined', 'final') OR (status = 'final' AND outcome = 'void') OR (mined_attempt_hash IS NOT NULL AND block_number IS NOT NULL AND block_hash IS NOT NULL AND evm_succeeded IS NOT NULL))
);

CREATE INDEX ix_transactions_block ON transactions (block_number);

CREATE INDEX ix_transactions_unfinal ON transactions (chain_id, signer_address, nonce) WHERE status != 'final';

CREATE TABLE workers (
    node_id VARCHAR(100) NOT NULL,
    worker VARCHAR(40) NOT NULL,
    runs_count BIGINT NOT NULL,
    failures_count BIGINT NOT NULL,
    last_run_at_utc DATETIME NOT NULL,
    expires_at_utc DATETIME NOT NULL,
    last_error VARCHAR(500),
    CONSTRAINT pk_workers PRIMARY KEY (node_id, worker)
);

CREATE TABLE attempts (
    attempt_hash VARCHAR(66) NOT NULL,
    transaction_id INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    kind VARCHAR(12) NOT NULL,
    raw BLOB NOT NULL,
    max_fee_per_gas_wei VARCHAR(78) NOT NULL,
    max_priority_fee_per_gas_wei VARCHAR(78) NOT NULL,
    signed_at_utc DATETIME NOT NULL,
    signed_at_block BIGINT NOT NULL,
    last_sent_at_utc DATETIME,
    last_sent_block BIGINT,
    sends_count INTEGER NOT NULL,
    last_answer VARCHAR(300),
    CONSTRAINT pk_attempts PRIMARY KEY (attempt_hash),
    CONSTRAINT ck_attempts_max_fee_per_gas_wei_range CHECK (max_fee_per_gas_wei >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND max_fee_per_gas_wei <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_attempts_max_priority_fee_per_gas_wei_range CHECK (max_priority_fee_per_gas_wei >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND max_priority_fee_per_gas_wei <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT uq_attempts_transaction_id_ordinal UNIQUE (transaction_id, ordinal),
    CONSTRAINT ck_attempts_kind_known CHECK (kind IN ('original', 'replacement', 'cancel', 'found')),
    CONSTRAINT fk_attempts_transaction_id FOREIGN KEY(transaction_id) REFERENCES transactions (transaction_id)
);

CREATE TABLE breaks (
    break_id INTEGER NOT NULL,
    fund_id VARCHAR(64),
    chain_id BIGINT NOT NULL,
    signer_address VARCHAR(42),
    kind VARCHAR(40) NOT NULL,
    subject VARCHAR(200) NOT NULL,
    payload JSON NOT NULL,
    is_money BOOLEAN NOT NULL,
    expected VARCHAR(200) NOT NULL,
    actual VARCHAR(200) NOT NULL,
    detail VARCHAR(1000) NOT NULL,
    owner VARCHAR(100) NOT NULL,
    status VARCHAR(10) NOT NULL,
    opened_at_utc DATETIME NOT NULL,
    resolved_at_utc DATETIME,
    CONSTRAINT pk_breaks PRIMARY KEY (break_id),
    CONSTRAINT ck_breaks_kind_known CHECK (kind IN ('double_paid', 'paid_not_in_book', 'paid_but_not_booked', 'amounts_differ', 'price_differs', 'booked_not_paid', 'payout_transfers_differ', 'burn_transfers_differ', 'supply_differs', 'treasury_differs', 'ratchet_gap', 'reorganisation_beyond_finality', 'stranger_at_nonce', 'unknown_batch', 'book_was_behind', 'nonce_lost', 'invariant_broken')),
    CONSTRAINT ck_breaks_status_known CHECK (status IN ('open', 'resolved')),
    CONSTRAINT ck_breaks_of_fund_or_lane CHECK ((fund_id IS NULL) <> (signer_address IS NULL)),
    CONSTRAINT fk_breaks_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id)
);

CREATE UNIQUE INDEX uq_breaks_open ON breaks (chain_id, kind, subject) WHERE status = 'open';

CREATE TABLE fund_settlers (
    fund_id VARCHAR(64) NOT NULL,
    settler_address VARCHAR(42) NOT NULL,
    from_block BIGINT NOT NULL,
    scanned_to_block BIGINT NOT NULL,
    added_at_utc DATETIME NOT NULL,
    history_read_at_utc DATETIME,
    CONSTRAINT pk_fund_settlers PRIMARY KEY (fund_id, settler_address),
    CONSTRAINT fk_fund_settlers_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id)
);

CREATE TABLE fund_terms (
    terms_id INTEGER NOT NULL,
    fund_id VARCHAR(64) NOT NULL,
    nav_per_share VARCHAR(78) NOT NULL,
    nav_decimals INTEGER NOT NULL,
    fee_bps INTEGER NOT NULL,
    valid_from_utc DATETIME NOT NULL,
    recorded_at_utc DATETIME NOT NULL,
    recorded_by VARCHAR(100) NOT NULL,
    CONSTRAINT pk_fund_terms PRIMARY KEY (terms_id),
    CONSTRAINT ck_fund_terms_nav_per_share_range CHECK (nav_per_share >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND nav_per_share <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT fk_fund_terms_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id)
);

CREATE INDEX ix_fund_terms_fund ON fund_terms (fund_id, valid_from_utc, terms_id);

CREATE TABLE investors (
    investor_id INTEGER NOT NULL,
    fund_id VARCHAR(64) NOT NULL,
    investor_address VARCHAR(42) NOT NULL,
    created_at_utc DATETIME NOT NULL,
    CONSTRAINT pk_investors PRIMARY KEY (investor_id),
    CONSTRAINT uq_investors_fund_id_investor_address UNIQUE (fund_id, investor_address),
    CONSTRAINT fk_investors_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id)
);

CREATE TABLE reconciliations (
    reconciliation_id INTEGER NOT NULL,
    fund_id VARCHAR(64) NOT NULL,
    from_block BIGINT NOT NULL,
    to_block BIGINT NOT NULL,
    share_supply_base_units VARCHAR(78),
    treasury_base_units VARCHAR(78),
    settled_count BIGINT NOT NULL,
    breaks_opened_count INTEGER NOT NULL,
    breaks_open_count INTEGER NOT NULL,
    ran_at_utc DATETIME NOT NULL,
    CONSTRAINT pk_reconciliations PRIMARY KEY (reconciliation_id),
    CONSTRAINT ck_reconciliations_share_supply_base_units_range CHECK (share_supply_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND share_supply_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_reconciliations_treasury_base_units_range CHECK (treasury_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND treasury_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT fk_reconciliations_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id)
);

CREATE INDEX ix_reconciliations_fund ON reconciliations (fund_id, reconciliation_id);

CREATE TABLE redemption_counts (
    fund_id VARCHAR(64) NOT NULL,
    status VARCHAR(12) NOT NULL,
    redemptions_count BIGINT NOT NULL,
    moves_count BIGINT NOT NULL,
    CONSTRAINT pk_redemption_counts PRIMARY KEY (fund_id, status),
    CONSTRAINT ck_redemption_counts_status_known CHECK (status IN ('requested', 'approved', 'settling', 'burning', 'burned', 'paying', 'paid', 'settled', 'held', 'returning', 'rejected', 'cancelled', 'expired', 'returned')),
    CONSTRAINT ck_redemption_counts_count_range CHECK (redemptions_count >= 0),
    CONSTRAINT fk_redemption_counts_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id)
);

CREATE TABLE settlements (
    settlement_id INTEGER NOT NULL,
    fund_id VARCHAR(64) NOT NULL,
    settler_address VARCHAR(42) NOT NULL,
    leg VARCHAR(15) NOT NULL,
    transaction_id INTEGER NOT NULL,
    previous_batch_hash VARCHAR(66) NOT NULL,
    batch_hash VARCHAR(66) NOT NULL,
    items_count INTEGER NOT NULL,
    shares_base_units VARCHAR(78) NOT NULL,
    payout_base_units VARCHAR(78) NOT NULL,
    status VARCHAR(8) NOT NULL,
    planned_at_utc DATETIME NOT NULL,
    ended_at_utc DATETIME,
    CONSTRAINT pk_settlements PRIMARY KEY (settlement_id),
    CONSTRAINT ck_settlements_shares_base_units_range CHECK (shares_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND shares_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_settlements_payout_base_units_range CHECK (payout_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND payout_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_settlements_leg_known CHECK (leg IN ('burn_and_payout', 'burn', 'payout', 'return')),
    CONSTRAINT ck_settlements_status_known CHECK (status IN ('live', 'settled', 'void')),
    CONSTRAINT fk_settlements_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id),
    CONSTRAINT uq_settlements_transaction_id UNIQUE (transaction_id),
    CONSTRAINT fk_settlements_transaction_id FOREIGN KEY(transaction_id) REFERENCES transactions (transaction_id)
);

CREATE INDEX ix_settlements_batch_hash ON settlements (settler_address, batch_hash);

CREATE INDEX ix_settlements_fund ON settlements (fund_id, settlement_id);

CREATE INDEX ix_settlements_live ON settlements (fund_id, settlement_id) WHERE status = 'live';

CREATE INDEX ix_settlements_void ON settlements (fund_id, settlement_id) WHERE status = 'void';

CREATE TABLE redemptions (
    redemption_id VARCHAR(66) NOT NULL,
    fund_id VARCHAR(64) NOT NULL,
    external_id VARCHAR(128) NOT NULL,
    redemption_index BIGINT NOT NULL,
    investor_id INTEGER NOT NULL,
    investor_address VARCHAR(42) NOT NULL,
    payee_address VARCHAR(42) NOT NULL,
    shares_base_units VARCHAR(78) NOT NULL,
    gross_base_units VARCHAR(78),
    fee_base_units VARCHAR(78),
    payout_base_units VARCHAR(78),
    nav_per_share VARCHAR(78),
    status VARCHAR(12) NOT NULL,
    back_to VARCHAR(12),
    version INTEGER NOT NULL,
    hold_reason VARCHAR(40),
    hold_detail VARCHAR(500),
    waiting_on VARCHAR(40),
    reverted_batch_size INTEGER,
    settle_after_utc DATETIME,
    requested_at_utc DATETIME NOT NULL,
    approved_at_utc DATETIME,
    broadcast_at_utc DATETIME,
    settled_at_utc DATETIME,
    found_block_number BIGINT,
    updated_at_utc DATETIME NOT NULL,
    CONSTRAINT pk_redemptions PRIMARY KEY (redemption_id),
    CONSTRAINT ck_redemptions_shares_base_units_range CHECK (shares_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND shares_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_redemptions_gross_base_units_range CHECK (gross_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND gross_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_redemptions_fee_base_units_range CHECK (fee_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND fee_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_redemptions_payout_base_units_range CHECK (payout_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND payout_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_redemptions_nav_per_share_range CHECK (nav_per_share >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND nav_per_share <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT uq_redemptions_fund_id_external_id UNIQUE (fund_id, external_id),
    CONSTRAINT uq_redemptions_fund_id_redemption_index UNIQUE (fund_id, redemption_index),
    CONSTRAINT ck_redemptions_status_known CHECK (status IN ('requested', 'approved', 'settling', 'burning', 'burned', 'paying', 'paid', 'settled', 'held', 'returning', 'rejected', 'cancelled', 'expired', 'returned')),
    CONSTRAINT ck_redemptions_waiting_on_known CHECK (waiting_on IN ('approvals', 'nav', 'settlement_date', 'liquidity', 'limits', 'price_band', 'lane_paused', 'fund_paused', 'break_open', 'settler', 'token_paused', 'burn_right', 'gas', 'earlier_batch', 'planning', 'broadcast', 'mining', 'confirmations', 'person')),
    CONSTRAINT ck_redemptions_index_range CHECK (redemption_index >= 0),
    CONSTRAINT ck_redemptions_held_has_reason CHECK ((status = 'held') = (hold_reason IS NOT NULL)),
    CONSTRAINT ck_redemptions_settling_is_priced CHECK (NOT (status IN ('settling', 'burning', 'burned', 'paying', 'returning', 'paid', 'settled')) OR payout_base_units IS NOT NULL),
    CONSTRAINT ck_redemptions_back_to_known CHECK (NOT (status IN ('held', 'paid')) AND back_to IS NULL OR status = 'held' AND back_to IN ('approved', 'burned') OR status = 'paid' AND back_to IN ('settling', 'paying')),
    CONSTRAINT fk_redemptions_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id),
    CONSTRAINT fk_redemptions_investor_id FOREIGN KEY(investor_id) REFERENCES investors (investor_id)
);

CREATE INDEX ix_redemptions_date ON redemptions (fund_id, settle_after_utc) WHERE status = 'approved' AND settle_after_utc IS NOT NULL;

CREATE INDEX ix_redemptions_found ON redemptions (fund_id, found_block_number) WHERE found_block_number IS NOT NULL;

CREATE INDEX ix_redemptions_investor ON redemptions (investor_address);

CREATE INDEX ix_redemptions_page ON redemptions (requested_at_utc, redemption_id);

CREATE INDEX ix_redemptions_plan ON redemptions (fund_id, status, redemption_index);

CREATE INDEX ix_redemptions_small ON redemptions (fund_id, shares_base_units, redemption_index) WHERE status = 'approved';

CREATE INDEX ix_redemptions_unfinished ON redemptions (requested_at_utc, redemption_id) WHERE status IN ('requested', 'approved', 'settling', 'burning', 'burned', 'paying', 'paid', 'held', 'returning');

CREATE INDEX ix_redemptions_waiting ON redemptions (fund_id, waiting_on) WHERE status = 'approved' AND waiting_on IS NOT NULL;

CREATE TABLE ledger_postings (
    posting_id INTEGER NOT NULL,
    journal VARCHAR(160) NOT NULL,
    fund_id VARCHAR(64) NOT NULL,
    redemption_id VARCHAR(66),
    asset_address VARCHAR(42) NOT NULL,
    debit_account VARCHAR(40) NOT NULL,
    credit_account VARCHAR(40) NOT NULL,
    units_base_units VARCHAR(78) NOT NULL,
    posted_at_utc DATETIME NOT NULL,
    CONSTRAINT pk_ledger_postings PRIMARY KEY (posting_id),
    CONSTRAINT ck_ledger_postings_units_base_units_range CHECK (units_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND units_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT uq_ledger_postings_journal_debit_account_credit_account UNIQUE (journal, debit_account, credit_account),
    CONSTRAINT ck_ledger_postings_two_accounts CHECK (debit_account <> credit_account),
    CONSTRAINT fk_ledger_postings_fund_id FOREIGN KEY(fund_id) REFERENCES funds (fund_id),
    CONSTRAINT fk_ledger_postings_redemption_id FOREIGN KEY(redemption_id) REFERENCES redemptions (redemption_id)
);

CREATE INDEX ix_ledger_postings_redemption ON ledger_postings (redemption_id);

CREATE TABLE settlement_items (
    settlement_id INTEGER NOT NULL,
    item_position INTEGER NOT NULL,
    redemption_id VARCHAR(66) NOT NULL,
    shares_base_units VARCHAR(78) NOT NULL,
    payout_base_units VARCHAR(78) NOT NULL,
    outcome VARCHAR(8) NOT NULL,
    skip_reason VARCHAR(40),
    skip_detail VARCHAR(1024),
    live BOOLEAN NOT NULL,
    CONSTRAINT pk_settlement_items PRIMARY KEY (settlement_id, item_position),
    CONSTRAINT ck_settlement_items_shares_base_units_range CHECK (shares_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND shares_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_settlement_items_payout_base_units_range CHECK (payout_base_units >= '000000000000000000000000000000000000000000000000000000000000000000000000000000' AND payout_base_units <= '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    CONSTRAINT ck_settlement_items_outcome_known CHECK (outcome IN ('pending', 'settled', 'skipped')),
    CONSTRAINT fk_settlement_items_settlement_id FOREIGN KEY(settlement_id) REFERENCES settlements (settlement_id),
    CONSTRAINT fk_settlement_items_redemption_id FOREIGN KEY(redemption_id) REFERENCES redemptions (redemption_id)
);

CREATE INDEX ix_settlement_items_redemption ON settlement_items (redemption_id);

CREATE UNIQUE INDEX uq_settlement_items_one_live ON settlement_items (redemption_id) WHERE live IS 1;

