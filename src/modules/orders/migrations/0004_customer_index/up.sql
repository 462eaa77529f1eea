-- Without the id, the entries of a customer are equal and stored as one list: a tenth of the size, and of the pages touched.
drop index orders.orders_customer;
create index orders_customer on orders.orders (shop_id, customer) where customer is not null;
