// Countries for an address (ISO 3166-1 alpha-2).
import { describeCountry } from "../lib/order-labels.js";

const CODES =
  "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC " +
  "CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD " +
  "GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH " +
  "KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW " +
  "MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC " +
  "SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY " +
  "UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

// The fields that an address needs in addition to name and street, by country; all other countries need a
// city. They must match orders-service/orders/addresses.py; a test compares the two.
const NEEDS = {
  "city region postal_code": "AS AU BR CA CN ES FM IN IT KR MH MP MX PF PW RU TW US VI",
  "city postal_code":
    "AT AX BE BL CH CZ DE DK EE FI FK FR GB GF GG GL GP GR GS GU HU IM IO JE LI LT LU LV MF MQ MY NC NL NO NZ PL PM PN PR " +
    "PT RE RO SE SH SJ SK TC TR UA WF YT ZA",
  "city region": "CR HN IQ JM KN PG SO SV UM VE",
  "region postal_code": "JP",
  region: "AE CO HK ID KY NR",
  postal_code: "SG SM",
  "": "AG GI MO VG",
};
const REQUIRED = new Map(
  Object.entries(NEEDS).flatMap(([names, codes]) => codes.split(" ").map((code) => [code, names.split(" ")])),
);

/** Return which of `city`, `region` and `postal_code` an address in this country requires. */
export const listRequired = (country) => REQUIRED.get(country) ?? ["city"];

/** Return [code, name] of each country, sorted by its name in the browser's language. */
export function listCountries() {
  return CODES.split(" ")
    .map((code) => [code, describeCountry(code)])
    .sort(([, one], [, other]) => one.localeCompare(other));
}

/** Return the country code for the browser's language. */
export function guessCountry() {
  return new Intl.Locale(navigator.language).maximize().region ?? "US";
}
