'use strict';

throw new RangeError('broken while loading');
