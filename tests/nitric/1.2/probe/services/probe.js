// What is the same in both versions is in one place.
require('../../../probe-v1.js')(require('@nitric/sdk'));
