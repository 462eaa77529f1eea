-- Few SKUs are bound to regions; a cell outside of them looks again and again whether it has units of one.
create index policies_of_regions on stock.policies (shop_id, sku) where regions is not null;
