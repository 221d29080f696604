-- The books as people read them: one order's lines, and the balances of all accounts.

-- name: read_ledger_order
SELECT order_id, currency, refunded_at FROM orders WHERE order_id = $1

-- name: read_ledger_lines
-- What was captured comes first of what was posted at one moment.
SELECT posted_at AS at, kind, debit_account AS "from", credit_account AS "to", amount_minor, currency, transfer_id,
       refund_id
  FROM ledger_transfers WHERE order_id = $1
 ORDER BY posted_at, kind <> 'captured', kind <> 'refunded_before', kind <> 'refund_requested', transfer_id

-- name: read_trial_balance
-- By family: the orders' escrows are one, the clients' wallets are one, every other account is its own. A balance is
-- what came in less what went out.
WITH postings AS (
  SELECT credit_account AS account, currency, 0::bigint AS debit, amount_minor AS credit FROM ledger_transfers
   UNION ALL
  SELECT debit_account, currency, amount_minor, 0 FROM ledger_transfers
), accounts AS (
  SELECT account, currency, sum(debit) AS debits, sum(credit) AS credits FROM postings GROUP BY account, currency
)
SELECT currency,
       CASE WHEN account LIKE 'escrow:%' THEN 'escrow' WHEN account LIKE 'wallet:%' THEN 'wallet' ELSE account END
         AS family,
       count(*) AS accounts, count(*) FILTER (WHERE debits <> credits) AS open,
       count(*) FILTER (WHERE credits < debits) AS negative, sum(debits) AS debits, sum(credits) AS credits
  FROM accounts GROUP BY 1, 2
 ORDER BY 1, 2

-- name: count_bad_lines
-- A line that moves nothing, or from an account to itself, takes from none what it gives to another.
SELECT count(*) FROM ledger_transfers WHERE amount_minor <= 0 OR debit_account = credit_account
