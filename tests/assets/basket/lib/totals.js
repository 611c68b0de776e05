'use strict';

// A coupon of the price service is a share; one that it does not know has none.
function total(price, coupon) {
  const share = coupon ? price.coupons[coupon].share : 0;
  return price.cents - Math.round(price.cents * share);
}

module.exports = { total };
